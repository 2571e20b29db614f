"""Five ways to hear of the scores, each beside its bare library doing only that.

Freshness is the time from an event's birth in the server to its arrival at a
subscriber, when events come one by one. The rate is deliveries a second (events times
subscribers) when the next burst begins as soon as all have the one before; for short
polling, answers a second that each bring one event. Servers run in a process of their
own, the subscribers in this one; figures are medians over interleaved rounds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import aiohttp
import numpy as np
import uvloop

from helpers.measure.units import seconds
from helpers.server import Server
from tests.benchmarks.bare_scores import Bare, Driven
from tests.benchmarks.score_listeners import HANDSHAKE, Heard, Listener, Poller

ROUNDS = 3
BAR = 0.9  # of the bare library's rate
POLL_EVERY = 1.0  # seconds, for short polling's freshness
SHORT, LONG = "short polling", "long polling"
PATHS = {"event stream": "/stream", "JSON lines": "/lines", "WebSocket": "/"}
WAYS = (SHORT, LONG, *PATHS)


class Size(NamedTuple):
    """How much is done with so many subscribers."""

    burst: int  # events that are published at once, for the rate
    bursts: int
    polls: int  # answers to long or short polls, of all subscribers
    events: int  # for freshness
    pause: float  # seconds between two of those


SIZES = {
    1: Size(burst=50, bursts=40, polls=1500, events=100, pause=0.02),
    100: Size(burst=20, bursts=15, polls=5000, events=30, pause=0.1),
    1000: Size(burst=5, bursts=10, polls=6000, events=6, pause=0.8),
}


@dataclass(frozen=True)
class Figures:
    """What one server showed in one round; in seconds, and deliveries a second."""

    p50: float
    p99: float
    rate: float


SHOWN: dict[str, Callable[[float], str]] = {
    "p50": seconds,
    "p99": seconds,
    "rate": "{:,.0f}".format,
}


class Crowd:
    """So many subscribers of one way at one server."""

    def __init__(self, port: int, way: str, subscribers: int) -> None:
        self.port = port
        self.way = way
        self.subscribers = subscribers
        self.size = SIZES[subscribers]
        self.published = 0
        self.heard = Heard()

    async def freshness(self) -> tuple[float, float]:
        """p50 and p99 of the age at which an event arrives."""
        async with self._listening(every=POLL_EVERY if self.way == SHORT else 0.0):
            await self._burst(1)
            self.heard.timed = True
            pauses = random.Random(0)
            for _ in range(self.size.events):
                # At moments of chance: a fixed beat could keep step with the polls.
                await asyncio.sleep(self.size.pause * pauses.uniform(0.5, 1.5))
                await self._publish(1)
            await self.heard.until(self.published * self.subscribers)
            self.heard.timed = False
        p50, p99 = np.percentile(self.heard.ages, [50, 99])
        return float(p50), float(p99)

    async def rate(self) -> float:
        """Deliveries a second, when the server does nothing else."""
        if self.way == SHORT:
            return await self._answers()
        long = self.way == LONG
        burst = 1 if long else self.size.burst
        rounds = self.size.polls // self.subscribers if long else self.size.bursts
        async with self._listening():
            await self._burst(burst)
            began = perf_counter()
            for _ in range(rounds):
                await self._burst(burst)
            took = perf_counter() - began
        return rounds * burst * self.subscribers / took

    async def _answers(self) -> float:
        """Each asks again at once, for what came after the last event but one."""
        await self._publish(1)
        async with self._listening(since=self.published - 1):
            await self.heard.until(self.heard.count + self.subscribers)
            before, began = self.heard.count, perf_counter()
            await self.heard.until(before + self.size.polls)
            return (self.heard.count - before) / (perf_counter() - began)

    async def _burst(self, count: int) -> None:
        await self._publish(count)
        await self.heard.until(self.published * self.subscribers)

    async def _publish(self, count: int) -> None:
        await self._control.post(f"/publish?count={count}")
        self.published += count

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        base = f"http://127.0.0.1:{self.port}"
        async with aiohttp.ClientSession(base) as self._control:
            async with self._control.get("/websocket") as answer:
                self.sockets = json.loads(await answer.read())["port"]
            yield

    @asynccontextmanager
    async def _listening(
        self, *, every: float = 0.0, since: int | None = None
    ) -> AsyncIterator[None]:
        """All subscribers, for a while; what was heard counts from here."""
        self.heard = Heard(count=self.published * self.subscribers)
        loop = asyncio.get_running_loop()
        port = self.sockets if self.way == "WebSocket" else self.port
        listeners = []
        for _ in range(self.subscribers):
            _, listener = await loop.create_connection(
                lambda: self._listener(every, since), "127.0.0.1", port
            )
            await listener.ready
            listeners.append(listener)
        phases = random.Random(1)
        for listener in listeners:
            if isinstance(listener, Poller):
                listener.begin(self.published, phases.uniform(0, every))
        try:
            yield
        finally:
            for listener in listeners:
                listener.transport.abort()

    def _listener(self, every: float, since: int | None) -> asyncio.Protocol:
        if self.way in (SHORT, LONG):
            return Poller(self.heard, since, wait=self.way == LONG, every=every)
        headers = HANDSHAKE if self.way == "WebSocket" else ""
        return Listener(self.heard, PATHS[self.way], headers)


async def measure(port: int, way: str, subscribers: int) -> Figures:
    crowd = Crowd(port, way, subscribers)
    async with crowd.connected():
        rate = await crowd.rate()
        return Figures(*await crowd.freshness(), rate)


def figures(kind: type[Server], way: str, subscribers: int) -> Figures:
    """Of a server in a process of its own, that has done nothing before."""
    with kind.in_process() as server:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(measure(server.port, way, subscribers))


def main() -> None:
    print(f"medians of {ROUNDS} interleaved rounds; ours / bare library")
    print(_row("way", "subscribers", ["p50", "p99", "deliveries/s"], "ratio"))
    missed = []
    for way, subscribers in itertools.product(WAYS, SIZES):
        pairs = [_pair(way, subscribers) for _ in range(ROUNDS)]
        ratio = statistics.median(ours.rate / bare.rate for ours, bare in pairs)
        columns = [
            " / ".join(
                show(_median(figures, name)) for figures in zip(*pairs, strict=True)
            )
            for name, show in SHOWN.items()
        ]
        print(_row(way, f"{subscribers:,}", columns, f"{ratio:.2f}"), flush=True)
        if ratio < BAR:
            missed.append(f"{way} at {subscribers:,}")
    verdict = f"MISSED by {', '.join(missed)}" if missed else "kept"
    print(f"at least {BAR:g} of the bare library's rate: {verdict}")


def _pair(way: str, subscribers: int) -> tuple[Figures, Figures]:
    return figures(Driven, way, subscribers), figures(Bare, way, subscribers)


def _median(rounds: Iterable[Figures], name: str) -> float:
    return statistics.median(getattr(each, name) for each in rounds)


def _row(way: str, subscribers: str, columns: list[str], ratio: str) -> str:
    middle = "".join(f"{column:>20}" for column in columns)
    return f"{way:<14}{subscribers:>12}{middle}{ratio:>7}"


if __name__ == "__main__":
    sys.exit(main())
