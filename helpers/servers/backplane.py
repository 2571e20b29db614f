"""A backplane: what several chat servers share, so that their rooms are the same.

    server A ──publish──▶ backplane ──▶ server A ──▶ its clients
                                   └──▶ server B ──▶ its clients

A server never sends what a client said straight to its other clients: it publishes
it, and sends what comes back. So all servers see one order, and one number for each
event, whoever published it.

`InKernelBackplane` serves servers of one process. The one between processes, by
Valkey, has the same four methods (helpers/engines/valkey_backplane.py).
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import NoReturn, Protocol

from helpers.servers.chat_room import Event, Room, Snapshot, refusal
from helpers.servers.subscription import Subscription, SubscriptionLost

__all__ = ["Backplane", "InKernelBackplane", "SubscriptionLost"]


class Backplane(Protocol):
    """What a chat server needs of a backplane. All of it may be called by many."""

    async def join(self, event: Event) -> Snapshot:
        """Publish a ``joined`` event; returns the room as it is just after it.

        Raises ChatError when the name is taken, or the room is full.
        """

    async def publish(self, event: Event) -> Event:
        """Number the event, and hand it to all who subscribed to its room.

        The numbers of a room grow by one, and every subscriber gets them in order.
        Returns the event with its number. Raises ChatError when the room refuses it.
        """

    async def snapshot(self, room: str) -> Snapshot:
        """The room as it is now."""

    def subscribe(self, room: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """All events of a room from now on: subscribed once the context is entered.

        The iterator raises SubscriptionLost when events went missing.
        """


class InKernelBackplane:
    """A backplane for the servers of one process, each with a thread of its own.

    ``history_limit`` is how many messages a room remembers. At most ``max_rooms``
    rooms are kept: the one that is empty for the longest time makes place. A
    subscriber with more than ``backlog`` events that it did not take yet is cut off,
    as Valkey does it, so that one that stands still neither stops the others nor
    fills the memory.
    """

    def __init__(
        self,
        *,
        history_limit: int = 100,
        max_rooms: int = 1000,
        max_members: int = 10_000,
        backlog: int = 4096,
    ) -> None:
        if history_limit < 0 or min(max_rooms, max_members, backlog) < 1:
            raise ValueError("limits are at least 1, and 0 for no history")
        self.history_limit = history_limit
        self.max_rooms = max_rooms
        self.max_members = max_members
        self.backlog = backlog
        self._rooms: dict[str, Room] = {}
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._lock = threading.Lock()

    async def join(self, event: Event) -> Snapshot:
        with self._lock:
            room = self._open_room(event.room)
            self._hand_out(room.apply(event))
            return room.snapshot()

    async def publish(self, event: Event) -> Event:
        with self._lock:
            event = self._find_room(event.room).apply(event)
            self._hand_out(event)
            if event.type == "left":  # the longest empty one stays in front
                self._rooms[event.room] = self._rooms.pop(event.room)
            return event

    async def snapshot(self, room: str) -> Snapshot:
        with self._lock:
            return self._find_room(room).snapshot()

    @contextlib.asynccontextmanager
    async def subscribe(self, room: str) -> AsyncIterator[AsyncIterator[Event]]:
        subscription = Subscription(self.backlog)
        with self._lock:
            self._subscriptions[room].add(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions[room].discard(subscription)
                if not self._subscriptions[room]:
                    del self._subscriptions[room]

    def _hand_out(self, event: Event) -> None:
        for subscription in self._subscriptions.get(event.room, ()):
            subscription.put(event)

    def _find_room(self, name: str) -> Room:
        try:
            return self._rooms[name]
        except KeyError:
            raise refusal("no-room", name) from None

    def _open_room(self, name: str) -> Room:
        if name not in self._rooms:
            if len(self._rooms) >= self.max_rooms:
                self._forget_an_empty_room()
            self._rooms[name] = Room(
                history_limit=self.history_limit, max_members=self.max_members
            )
        return self._rooms[name]

    def _forget_an_empty_room(self) -> None:
        for name, room in self._rooms.items():
            if not room.members:
                del self._rooms[name]
                return
        raise refusal("too-many-rooms", self.max_rooms)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an InKernelBackplane joins servers of one process, and can not be sent to "
            "another: use a backplane that is a process itself, such as Valkey"
        )
