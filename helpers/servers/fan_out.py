"""One event to many subscribers, none of whom can hold up the others.

Who reads too slowly is the problem of every push. To wait for it would make everybody
wait; to keep all that it has not read would fill the memory. So what waits for one
subscriber is bounded, and beyond that it is dropped, told why, and may come back and
ask for what it lacks.

A subscriber first catches up from the list, at its own pace (:meth:`FanOut.follow`),
and costs nothing but a number while it does. Then it is live, and each event is
written to its socket as it happens.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple, Self

from helpers.servers.feed import Event, Feed, notice

__all__ = ["Dropped", "FanOut", "Full", "Limits", "Subscriber"]

CATCH_UP = 100  # events written at once to one who catches up
# The kernel's own buffer may grow to megabytes for one client that does not read. This
# is enough for a megabyte a second at a round trip of 100 ms.
SEND_BUFFER = 64 * 1024
KEPT_DROPS = 1000


class Limits(NamedTuple):
    """What one subscriber, and all of them, may take.

    unsent       bytes that wait in this process for one subscriber to read
    patience     seconds that one who catches up, or was told to go, may read nothing
    subscribers  at a time, held polls included
    """

    unsent: int = 64 * 1024
    patience: float = 5.0
    subscribers: int = 10_000


class Dropped(NamedTuple):
    """Who was sent away: which way it listened, the last event it got, and why."""

    way: str
    last_id: int
    reason: str


class Full(Exception):
    """There is no room for one more subscriber."""


class Subscriber(ABC):
    """One client's stream. Made on the server's loop, once the client is welcome."""

    def __init__(self, way: str, transport: asyncio.Transport) -> None:
        self.way = way
        self.transport = transport
        self.last_id = 0
        self.dropped: str | None = None  # why, once it is
        self.ended = asyncio.get_running_loop().create_future()
        raw: socket.socket | None = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    @property
    def unsent(self) -> int:
        """Bytes that wait in this process because the client does not read."""
        return self.transport.get_write_buffer_size()

    @abstractmethod
    def send(self, event: Event) -> None:
        """Write it, and wait for nothing."""

    @classmethod
    def send_all(cls, subscribers: list[Self], event: Event) -> None:
        """Send it to many of a kind, for where that is cheaper than one by one."""
        for subscriber in subscribers:
            subscriber.send(event)

    @abstractmethod
    async def write(self, events: list[Event]) -> None:
        """Write them, and wait until there is room for more."""

    def beat(self) -> None:  # noqa: B027 - a WebSocket has pings of its own
        """Write something without meaning, so that the line is not silent."""

    def end(self) -> None:
        """Let :meth:`FanOut.follow` return."""
        if not self.ended.done():
            self.ended.set_result(None)


class FanOut:
    """All who listen now. Everything here runs on the server's loop."""

    def __init__(self, feed: Feed, limits: Limits) -> None:
        self.feed = feed
        self.limits = limits
        self.dropped: deque[Dropped] = deque(maxlen=KEPT_DROPS)
        self.admitted = 0
        self._live: defaultdict[type[Subscriber], set[Subscriber]] = defaultdict(set)
        self._news = asyncio.Event()
        self._closed = False

    def publish(self, event: Event) -> None:
        """Keep it, and send it to all who are live."""
        self.feed.append(event)
        # set() wakes all who wait now; after clear() the next ones wait again.
        self._news.set()
        self._news.clear()
        for kind, live in self._live.items():
            ready = self._who_keep_up(live)
            kind.send_all(ready, event)
            for subscriber in ready:
                subscriber.last_id = event.id

    def beat(self) -> None:
        """A heartbeat to all who are live."""
        for live in self._live.values():
            for subscriber in self._who_keep_up(live):
                subscriber.beat()

    def _who_keep_up(self, live: set[Subscriber]) -> list[Subscriber]:
        """All who are live; those who are too slow are dropped on the way."""
        ready = []
        for subscriber in tuple(live):
            if subscriber.transport.is_closing():
                subscriber.end()
            elif subscriber.unsent > self.limits.unsent:
                self._drop(subscriber, f"{subscriber.unsent} bytes wait to be read")
            else:
                ready.append(subscriber)
        return ready

    async def wait_for_news(self, seconds: float) -> None:
        """Until the next event, or the end, or for so many seconds."""
        if self._closed:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Take a subscriber's place for as long as it lasts. Raises Full."""
        if self._closed or self.admitted >= self.limits.subscribers:
            raise Full
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1

    async def follow(self, subscriber: Subscriber, since: int | None) -> None:
        """Send all events after ``since``, then each as it happens; until the end.

        None means from now on. Returns when the subscriber was dropped or is gone, or
        when the server stops.
        """
        subscriber.last_id = self.feed.last if since is None else since
        try:
            await self._catch_up(subscriber)
        except TimeoutError:
            self._drop(subscriber, f"nothing was read for {self.limits.patience:g} s")
        if self._closed or subscriber.ended.done():
            return
        # Nothing was awaited since the last look at the list: no event is lost here.
        live = self._live[type(subscriber)]
        live.add(subscriber)
        try:
            await subscriber.ended
        finally:
            live.discard(subscriber)

    async def _catch_up(self, subscriber: Subscriber) -> None:
        while not (self._closed or subscriber.ended.done()):
            page = self.feed.since(subscriber.last_id, CATCH_UP)
            batch = page.events
            if page.missed != 0:
                batch = [notice("missed", missed=page.missed), *batch]
                subscriber.last_id = page.last
            if not batch:
                return
            async with asyncio.timeout(self.limits.patience):
                await subscriber.write(batch)
            subscriber.last_id = page.last

    def _drop(self, subscriber: Subscriber, reason: str) -> None:
        """One message beyond the bound, to say why; then no more."""
        self._live[type(subscriber)].discard(subscriber)
        subscriber.dropped = reason
        self.dropped.append(Dropped(subscriber.way, subscriber.last_id, reason))
        subscriber.send(
            notice("dropped", reason=f"too slow: {reason}", since=subscriber.last_id)
        )
        subscriber.end()

    def close(self) -> None:
        """Let all streams and all held polls end."""
        self._closed = True
        self._news.set()
        for subscriber in tuple(chain(*self._live.values())):
            subscriber.end()
