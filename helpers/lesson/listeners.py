"""listen: several ways to hear of the same events, each over a line of its own.

    async def long_polling(line, heard):
        ...
        heard(page["events"])

    seen = await listen({"long polling": long_polling}, chance(every=0.2, seconds=5))
    seen["long polling"].percentile(99)

All listen at the same time to one :class:`ScoreServer`, so all hear the same events.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from helpers.network import Capture, Link, traffic
from helpers.servers.matches import match_events
from helpers.servers.scores import ScoreServer

__all__ = ["Heard", "Listened", "chance", "listen"]

Events = Iterable[Mapping[str, Any]]
Way = Callable[[Link, Callable[[Events], None]], Awaitable[None]]

READY = 20.0  # seconds until all listen, on a busy machine too
ASK = 0.1  # seconds between two events that ask whether all listen
# Who does not have the last event so long after it came has missed it.
SETTLE = 5.0


def chance(*, every: float, seconds: float, seed: int = 1) -> list[float]:
    """Moments at random within ``seconds``, ``every`` so many on average.

    Each is as likely as any other (a Poisson process). The same seed gives the same.
    """
    if not min(every, seconds) > 0:
        raise ValueError("every and seconds are above zero")
    chances = random.Random(seed)
    moments = []
    moment = chances.expovariate(1 / every)
    while moment < seconds:
        moments.append(moment)
        moment += chances.expovariate(1 / every)
    return moments


@dataclass(frozen=True)
class Heard:
    """An event that arrived: its number, and seconds since the run began.

    ``batch`` counts how many events had come together with it, itself included.
    """

    id: int
    born: float
    arrived: float
    batch: int

    @property
    def age(self) -> float:
        """Seconds from its birth to its arrival."""
        return self.arrived - self.born


@dataclass(repr=False)
class Listened:
    """What one way heard of the ``published`` events (number → when), and its wire.

    ``cuts`` are the moments when its line was cut. All times are in seconds since the
    run began, when all ways were listening.
    """

    capture: Capture
    events: list[Heard] = field(default_factory=list)
    published: dict[int, float] = field(default_factory=dict)
    cuts: list[float] = field(default_factory=list)
    connections: int = 0  # that were open at the end of the run

    @property
    def ids(self) -> list[int]:
        """The numbers of the events, in the order of their arrival."""
        return [event.id for event in self.events]

    @property
    def ages(self) -> list[float]:
        return [event.age for event in self.events]

    @property
    def missed(self) -> list[int]:
        """The numbers of those that never arrived."""
        return sorted(self.published.keys() - set(self.ids))

    @property
    def complete(self) -> bool:
        """Whether it heard of every event once, and in order."""
        return self.ids == list(self.published)

    @property
    def answers(self) -> int:
        """How often something arrived, be it one event or many."""
        return len({event.arrived for event in self.events})

    def percentile(self, percent: float) -> float:
        """Of the ages, in seconds, one that was measured; nan without events."""
        if not self.events:
            return float("nan")
        return float(np.percentile(self.ages, percent, method="inverted_cdf"))

    @property
    def requests(self) -> int:
        """HTTP requests since the run began, a WebSocket's handshake among them."""
        rows = traffic(self.capture)
        return sum(row.count for row in rows if row.what == "requests")

    @property
    def bytes_per_event(self) -> float:
        """On the wire, in both directions, since the run began; nan without events."""
        crossed = self.capture.bytes_to_server + self.capture.bytes_to_client
        return crossed / len(self.ids) if self.ids else float("nan")

    def __repr__(self) -> str:
        heard = f"{len(self.ids)} of {len(self.published)} events"
        return f"<{heard}, in {self.answers} answers, {len(self.missed)} missed>"


async def listen(
    ways: Mapping[str, Way],
    moments: Sequence[float],
    *,
    latency: float = 0.02,
    cuts: Sequence[float] = (),
    seed: int = 1,
) -> dict[str, Listened]:
    """Let all ``ways`` listen while events come at ``moments``, in seconds.

    A way is an async function of its line and of ``heard``, which it calls with the
    events that it got; it is cancelled at the end. Each has a line of its own to one
    server, with that ``latency`` one way; one whose name has "WebSocket" in it gets a
    line to the server's WebSocket. At the moments ``cuts`` all lines are cut.

    It begins when all ways have heard of something, and ends when all have heard of
    the last event, or 5 seconds after it. Raises what a way raises, RuntimeError when
    one returns, and TimeoutError when one hears of nothing.
    """
    async with AsyncExitStack() as stack:
        run = _Run(await stack.enter_async_context(ScoreServer(heartbeat=3600)), seed)
        for name, way in ways.items():
            target = run.server.sockets if "WebSocket" in name else run.server
            line = await stack.enter_async_context(Link(target, latency=latency))
            run.add(name, way, line)
        try:
            await run.until_all_listen()
            await run.happen(moments, cuts)
            await run.until_all_heard()
        finally:
            await run.end()
    return run.seen


class _Run:
    """The server, and those who listen to it."""

    def __init__(self, server: ScoreServer, seed: int) -> None:
        self.server = server
        self.seen: dict[str, Listened] = {}
        self._lines: dict[str, Link] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._happening = match_events(seed)
        self._heard_anything: set[str] = set()
        self._news = asyncio.Event()
        self._began = 0.0
        self._first = 0  # the number of the first event that counts, once it does

    def add(self, name: str, way: Way, line: Link) -> None:
        seen = self.seen[name] = Listened(line.capture)
        self._lines[name] = line

        def heard(events: Events) -> None:
            self._note(name, seen, list(events))

        self._tasks.append(asyncio.create_task(way(line, heard), name=name))

    def _note(self, name: str, seen: Listened, events: list[Mapping[str, Any]]) -> None:
        arrived = perf_counter() - self._began
        if events:
            self._heard_anything.add(name)
        for event in events:
            if self._first and event["id"] >= self._first:
                born = event["born"] - self._began
                seen.events.append(Heard(event["id"], born, arrived, len(events)))
        self._news.set()

    async def until_all_listen(self) -> None:
        """Events that do not count, until each way has heard of one."""
        try:
            async with asyncio.timeout(READY):
                while len(self._heard_anything) < len(self.seen):
                    self.server.publish("kick-off")
                    await self._sleep(ASK)
        except TimeoutError:
            silent = ", ".join(self.seen.keys() - self._heard_anything)
            raise TimeoutError(f"heard of nothing: {silent}") from None

    async def happen(self, moments: Sequence[float], cuts: Sequence[float]) -> None:
        """Keep to the timetable, so that a late wake-up does not shift what follows."""
        for line in self._lines.values():
            line.capture.clear()
        self._began, self._first = perf_counter(), self.server.last_id + 1
        happening = [(moment, self._publish) for moment in moments]
        happening += [(moment, self._cut) for moment in cuts]
        for moment, happens in sorted(happening, key=lambda each: each[0]):
            await self._sleep(self._began + moment - perf_counter())
            happens()

    def _publish(self) -> None:
        kind, facts = next(self._happening)
        event = self.server.publish(kind, **facts)
        for seen in self.seen.values():
            seen.published[event.id] = event.born - self._began

    def _cut(self) -> None:
        for name, line in self._lines.items():
            line.cut()
            self.seen[name].cuts.append(perf_counter() - self._began)

    async def until_all_heard(self) -> None:
        """Until each has heard of the last event, or it is too late."""
        end = perf_counter() + SETTLE
        while self._lacking() and perf_counter() < end:
            self._news.clear()
            news = asyncio.create_task(self._news.wait())
            await self._wait([news, *self._tasks], end - perf_counter())
            news.cancel()

    def _lacking(self) -> bool:
        last = self.server.last_id
        return any(seen.ids[-1:] != [last] for seen in self.seen.values())

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self._wait(self._tasks, seconds)

    async def _wait(self, tasks: list[asyncio.Task], seconds: float) -> None:
        """Until one is done, but no longer. Raises when that one was a way."""
        await asyncio.wait(
            tasks, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED
        )
        for task in self._tasks:
            if task.done():
                task.result()
                raise RuntimeError(f"{task.get_name()} returned before the end")

    async def end(self) -> None:
        for seen, line in zip(self.seen.values(), self._lines.values(), strict=True):
            seen.connections = len(line.pairs)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
