"""A value that changes when it likes: the price that everybody wants to know first.

    GET /value      {"value": 3}

The server also remembers when it changed, so that an experiment can say how far
behind a client was.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable

from aiohttp import web

from helpers.server import HTTPServer

__all__ = ["Ticker"]

REMEMBERED = 10_000  # changes; a run of the notebook makes a few dozen


class Ticker(HTTPServer):
    """A counter that goes up at random moments, ``every`` seconds on average.

    The gaps are exponential and come from ``seed`` (a Poisson process). ``history``
    holds (time, value) by ``time.perf_counter``, the clock of the whole notebook.
    """

    def __init__(self, *, every: float = 0.5, seed: int = 0, **server: object) -> None:
        super().__init__(**server)
        if not every > 0:
            raise ValueError(f"every is in seconds, above zero; not {every!r}")
        self.every = every
        self.seed = seed
        self.history: list[tuple[float, int]] = []

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [web.get("/value", self.value)]

    async def value(self, _: web.Request) -> web.Response:
        _, value = self.history[-1]
        # A value that may change at any moment is no matter for caches.
        return web.json_response(
            {"value": value}, headers={"Cache-Control": "no-store"}
        )

    async def open(self, host: str, port: int) -> int:
        self.history = [(time.perf_counter(), 0)]
        self._changing = asyncio.create_task(self._change())
        return await super().open(host, port)

    async def close(self) -> None:
        self._changing.cancel()
        await super().close()

    async def _change(self) -> None:
        """Keep to a timetable, so that a late wake-up does not shift what follows."""
        chances = random.Random(self.seed)
        due, value = self.history[0]
        while len(self.history) < REMEMBERED:
            due += chances.expovariate(1 / self.every)
            await asyncio.sleep(due - time.perf_counter())
            value += 1
            self.history.append((time.perf_counter(), value))
