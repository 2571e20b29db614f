"""ChatConnection: a WebSocket whose peer may read slowly, or not at all.

What a socket does not take at once waits in asyncio's write buffer; when that is over
its limit the connection *lags*, and what comes then waits in the outbox, which is
bounded. A connection that lags for longer than ``patience`` is cut: a ping would not
find it, since it waits behind all that the peer does not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.frames import CloseCode
from websockets.protocol import State

from helpers.servers.chat_protocol import Member
from helpers.servers.outbox import Outbox, OutboxFull, WhenFull

if TYPE_CHECKING:
    from helpers.servers.audience import Audience

__all__ = ["ChatConnection", "deliver"]


class ChatConnection(ServerConnection):
    """One client's WebSocket, with its outbox and its place in the chat.

    ``everyone`` is the set of connections that this one enters and leaves by itself,
    from the first byte of its handshake on.
    """

    def __init__(
        self,
        *args: Any,
        outbox: Outbox,
        everyone: set[ChatConnection],
        patience: float,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.member = Member(held_limit=outbox.limit)
        self.audience: Audience | None = None
        self.outbox = outbox
        self.lagging = False
        self.patience = patience
        self._everyone = everyone
        self._progress = asyncio.Event()
        self._end: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task | None = None

    async def send_or_keep(self, text: str) -> None:
        """Send ``text``, now or after what waits already."""
        await self.space()
        self.post(text)

    async def space(self) -> None:
        """Where slow consumers are waited for: until the outbox has room."""
        while self._must_wait():
            self._progress.clear()
            await self._progress.wait()

    def _must_wait(self) -> bool:
        waits = self.outbox.when_full is WhenFull.WAIT
        return waits and self.lagging and self.outbox.full

    def post(self, text: str) -> None:
        """The same without waiting for space. Does nothing when it is closing."""
        if self.state is not State.OPEN or self._closing is not None:
            return
        if not self.lagging:
            broadcast([self], text)
            return
        try:
            self.outbox.put(text)
        except OutboxFull as error:
            self.cut_off(CloseCode.TRY_AGAIN_LATER, f"too slow: {error}")

    def cut_off(self, code: int, reason: str) -> None:
        """Close, and do not wait for long for a peer that does not read."""
        if self._closing is None:
            self.outbox.clear()
            self._closing = self.loop.create_task(self.close(code, reason))
            self._abort_in(self.close_timeout)

    def _abort_in(self, seconds: float) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end = self.loop.call_later(seconds, self.transport.abort)

    # What asyncio tells: the connection is there, is gone, the peer reads or does not.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._everyone.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._everyone.discard(self)
        self.lagging = False
        self.outbox.clear()
        self._progress.set()
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(error)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.lagging = True
        if self._closing is None:
            self._abort_in(self.patience)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.lagging = False
        if self._closing is None:
            self._end.cancel()
            self._send_what_waits()

    def _send_what_waits(self) -> None:
        while len(self.outbox) and not self.lagging:
            broadcast([self], self.outbox.take())
        self._progress.set()


async def deliver(connections: Collection[ChatConnection], text: str) -> None:
    """Send ``text`` to all; whoever keeps up gets it at once, and nobody twice."""
    lagging = [connection for connection in connections if connection.lagging]
    if lagging:
        connections = [each for each in connections if not each.lagging]
    broadcast(connections, text)
    for connection in lagging:
        await connection.send_or_keep(text)
