"""listen: several ways to hear of the same events, each over a line of its own.

    async def long_poll(line, heard):
        ...
        heard(page["events"])

    seen = await listen({"long polling": long_poll}, every=0.2, seconds=5)

All listen at the same time to one :class:`ScoreServer`, so all hear the same events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from helpers.network import Capture, Link
from helpers.server import Startable
from helpers.servers.scores import ScoreServer

__all__ = ["Listened", "listen"]

Way = Callable[[Link, Callable[[Iterable[Mapping[str, Any]]], None]], Awaitable[None]]
Script = Callable[[ScoreServer], Awaitable[None]]
SETTLE = 0.3  # seconds for what was born last to arrive
READY = 10.0  # seconds until all listen


@dataclass
class Listened:
    """What one way heard: the age in seconds of each event as it came, and the wire."""

    capture: Capture
    ages: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        """Seconds; nan when nothing was heard."""
        return float(np.percentile(self.ages, percent)) if self.ages else float("nan")

    @property
    def requests(self) -> int:
        """Questions that the client asked, be it by the first of them only."""
        return self.capture.round_trips - self.capture.connections

    @property
    def bytes_per_event(self) -> float:
        """In both directions; nan when nothing was heard."""
        crossed = self.capture.bytes_to_server + self.capture.bytes_to_client
        return crossed / len(self.ids) if self.ids else float("nan")


async def listen(
    ways: Mapping[str, Way],
    *,
    seconds: float = 5.0,
    every: float | None = None,
    script: Script | None = None,
    latency: float = 0.02,
    seed: int = 1,
) -> dict[str, Listened]:
    """Let each of ``ways`` listen for ``seconds``, over a line with that ``latency``.

    Events come at random moments, ``every`` so many seconds on average, or as
    ``script(server)`` publishes them. A way is an async function of its line and of
    ``heard``, which it calls with the events that it got; it is cancelled at the end.
    One whose name has "WebSocket" in it gets a line to the server's WebSocket.

    Raises what a way raises.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ScoreServer(seed=seed, heartbeat=3600))
        seen, listening = {}, []
        for name, way in ways.items():
            end: Startable = server.sockets if "WebSocket" in name else server
            line = await stack.enter_async_context(Link(end, latency=latency))
            seen[name] = Listened(line.capture)
            listening.append(asyncio.create_task(way(line, _hearer(seen[name]))))
        try:
            await _until_all_listen(server, seen, listening)
            await _happen(server, listening, seconds, every, script, seed)
        finally:
            for task in listening:
                task.cancel()
            await asyncio.wait(listening)
    return seen
