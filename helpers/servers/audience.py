"""An audience: the members of one room who are connected to this server.

It hears from the backplane what happens in the room, and hands it on to those whom it
concerns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.frames import CloseCode

from helpers.servers.backplane import Backplane, SubscriptionLost
from helpers.servers.chat_connection import ChatConnection, deliver
from helpers.servers.chat_room import Event, Snapshot

__all__ = ["Audience"]


class Audience:
    """Those here in ``room``. It listens from its making until :meth:`close`.

    ``keep_error`` is told of what ends the listening against all expectation.
    """

    def __init__(
        self,
        room: str,
        backplane: Backplane,
        keep_error: Callable[[BaseException], None],
    ) -> None:
        self.room = room
        self.lost = False
        self._inside: set[ChatConnection] = set()
        self._joining: set[ChatConnection] = set()
        self._backplane = backplane
        self._keep_error = keep_error
        self._expected: dict[str, asyncio.Future[None]] = {}
        self._listens = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    @property
    def empty(self) -> bool:
        return not self._inside and not self._joining

    # -- who is in it --------------------------------------------------------------

    async def admit(self, connection: ChatConnection) -> None:
        """It is about to join; returns once it can miss nothing any more."""
        self._joining.add(connection)
        await self._listens.wait()

    def welcome(self, connection: ChatConnection, snapshot: Snapshot) -> None:
        """It joined: send what it has to know, and from now on all that happens."""
        self._joining.discard(connection)
        self._inside.add(connection)
        for text in connection.member.welcome(snapshot):
            connection.post(text)

    def dismiss(self, connection: ChatConnection) -> None:
        self._joining.discard(connection)
        self._inside.discard(connection)

    # -- what happens in it ----------------------------------------------------------

    async def publish(self, event: Event) -> None:
        """Tell the whole room; returns once all who are here have been told.

        So a sender has one message under way at a time, and where slow consumers are
        waited for, it waits for them. Raises ChatError when the room refuses it.
        """
        delivered = self._expected[event.id] = asyncio.Future()
        try:
            await self._backplane.publish(event)
            if not self.lost:
                await delivered
        finally:
            del self._expected[event.id]

    async def _listen(self) -> None:
        try:
            async with self._backplane.subscribe(self.room) as events:
                self._listens.set()
                async for event in events:
                    await self._hand_on(event)
        except SubscriptionLost:
            self._give_up()
        except Exception as error:
            self._keep_error(error)
            self._give_up()

    async def _hand_on(self, event: Event) -> None:
        for connection in self._joining:
            connection.member.hold(event)
        told = [each for each in self._inside if each.member.is_told(event)]
        await deliver(told, event.to_json())
        delivered = self._expected.get(event.id)
        if delivered is not None and not delivered.done():
            delivered.set_result(None)

    def _give_up(self) -> None:
        """Events are missing: all have to come back, and see the history."""
        self.lost = True
        self._listens.set()
        for delivered in self._expected.values():
            if not delivered.done():
                delivered.set_result(None)
        for connection in self._inside | self._joining:
            reason = "this server missed messages of the room: connect again"
            connection.cut_off(CloseCode.TRY_AGAIN_LATER, reason)

    async def close(self) -> None:
        """Listen no more."""
        self._listening.cancel()
        await asyncio.wait([self._listening])
