"""A subscription: events on their way from a backplane to one who listens."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Self

from helpers.servers.chat_room import Event

__all__ = ["Subscription", "SubscriptionLost"]


class SubscriptionLost(Exception):
    """The subscriber fell behind or the backplane is gone: events are missing now."""


class Subscription:
    """Takes events from any thread, and hands them out on the loop that made it.

    One with more than ``backlog`` events that nobody took yet is lost: it hands out
    what it has, and then raises SubscriptionLost.
    """

    def __init__(self, backlog: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._arrived = asyncio.Event()
        self._events: deque[Event] = deque()
        self._backlog = backlog
        self._lost: str | None = None

    def put(self, event: Event) -> None:
        """From any thread, one at a time."""
        if len(self._events) >= self._backlog:
            self.lose(f"more than {self._backlog} events behind")
        if self._lost is None:
            self._events.append(event)
            self._wake()

    def lose(self, reason: str) -> None:
        """Nothing comes any more, and ``reason`` tells why. From any thread."""
        if self._lost is None:
            self._lost = reason
            self._wake()

    def _wake(self) -> None:
        if threading.get_ident() == self._thread:
            self._arrived.set()
            return
        # A loop that has closed has nobody left to hear of it.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._arrived.set)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._events:
            # Or one with much to catch up on would keep its loop to itself.
            await asyncio.sleep(0)
        while not self._events:
            if self._lost is not None:
                raise SubscriptionLost(self._lost)
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()
