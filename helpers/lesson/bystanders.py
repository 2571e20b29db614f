"""Bystanders: what everybody else sees while one request is slow."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from helpers.engines.node import Node
from helpers.measure import open_loop
from helpers.server import Startable

__all__ = ["BLOCKING_JS", "BlockingNode", "Bystanders", "bystanders"]

BLOCKING_JS = Path(__file__).parent / "content" / "02" / "blocking.js"

Moments = tuple[float, float]  # sent, answered; perf_counter seconds


@dataclass
class Bystanders:
    """The slow request and all others, as (sent, answered) in perf_counter seconds.

    ``answer`` is what the slow request got.
    """

    slow: Moments = (0.0, 0.0)
    answer: str = ""
    others: list[Moments] = field(default_factory=list)

    @property
    def worst(self) -> float:
        """The longest that another request waited for its answer, in seconds."""
        return max(answered - sent for sent, answered in self.others)

    @property
    def meanwhile(self) -> int:
        """How many others were sent and answered while the slow request was not yet."""
        begin, end = self.slow
        return sum(begin < sent and answered < end for sent, answered in self.others)


async def bystanders(
    server: Startable, path: str, *, rate: float = 50, before: float = 0.2
) -> Bystanders:
    """Ask for ``path`` once, while others ask for ``/quick`` at ``rate`` a second.

    The others begin ``before`` seconds earlier, and go on as long after the slow
    request's answer. Raises httpx.HTTPStatusError when it is answered by an error.
    """
    seen, another = Bystanders(), asyncio.Event()
    limits = httpx.Limits(max_connections=None)  # the crowd must not wait in the client
    async with httpx.AsyncClient(
        base_url=server.url, timeout=30, limits=limits
    ) as client:

        async def quick() -> None:
            sent = time.perf_counter()
            await client.get("/quick")
            seen.others.append((sent, time.perf_counter()))
            another.set()

        crowd = asyncio.create_task(
            open_loop(quick, rate=rate, seconds=60, progress=False)
        )
        try:
            await asyncio.sleep(before)
            sent = time.perf_counter()
            answer = await client.get(path)
            seen.slow = sent, time.perf_counter()
            await asyncio.sleep(before)
            # Somebody has to come after it, too.
            while not seen.others or seen.others[-1][0] < seen.slow[1]:
                another.clear()
                await another.wait()
        finally:
            crowd.cancel()
            await asyncio.wait([crowd])
        seen.answer = answer.raise_for_status().text
        return seen


class BlockingNode(Node):
    """The server of ``BLOCKING_JS``, which reads ``file``: /quick, /sync, /async."""

    def __init__(self, file: Path) -> None:
        super().__init__(BLOCKING_JS, file)

    async def beats(self) -> list[Moments]:
        """The beats of its event loop since it was last asked: (moment, lag).

        Node.js counts from 1970, as all clocks that two processes share do; here they
        are perf_counter seconds, as everything else is.
        """
        async with httpx.AsyncClient(base_url=self.url) as client:
            answer = await client.get("/beats")
        shift = time.time() - time.perf_counter()
        beats = answer.raise_for_status().json()
        return [(moment - shift, lag) for moment, lag in beats]
