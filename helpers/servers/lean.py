"""LeanServer: WebSockets that cost little, each a bare ``asyncio.Protocol``.

It echoes what a client says and can tell all something at once. There is no task, no
stream, no queue and no compressor for a connection, only the transport that asyncio
makes and a protocol of three slots: about 1.5 kB, where a connection of a library
takes 15 to 50. ``lean_epoll.py`` does without even that.

    with LeanServer() as server:
        ...                              # clients connect to server.url
        server.broadcast("kick-off")
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from helpers.server import BACKLOG
from helpers.servers.lean_base import GOING_AWAY, MAX_UNSENT, LeanWebSockets
from helpers.servers.lean_protocol import Conversation

__all__ = ["LeanServer"]


class LeanServer(LeanWebSockets):
    """A WebSocket server of one Protocol a connection. See LeanWebSockets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sockets: set[LeanSocket] = set()
        self.busy: set[LeanSocket] = set()  # who has begun something
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        return len(self.sockets)

    def send_to_all(self, data: bytes) -> int:
        return sum(each.send(data) for each in self.sockets if each.is_open)

    def unfinished(self) -> Iterator[tuple[LeanSocket, Conversation]]:
        return ((each, each.conversation) for each in self.busy)

    def cut_off(self, connection: LeanSocket) -> None:
        connection.transport.abort()

    def count(self) -> None:
        """A handshake was accepted."""
        self._requests += 1

    async def open(self, host: str, port: int) -> int:
        listener = self.listen(host, port)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: LeanSocket(self), sock=listener, backlog=BACKLOG
        )
        self.start_sweeping()
        return listener.getsockname()[1]

    async def close(self) -> None:
        """1001 (going away) to all; nobody's answer is waited for."""
        if self._server is not None:
            self._server.close()
        await self.stop_sweeping()
        self.send_to_all(GOING_AWAY)
        for each in tuple(self.sockets):
            # Closed in order when nothing is unsent: then it is closed at once.
            waits = each.transport.get_write_buffer_size() > 0
            each.transport.abort() if waits else each.transport.close()
        # Each leaves in a callback that is scheduled already, before this goes on.
        await asyncio.sleep(0)


class LeanSocket(asyncio.Protocol):
    """All that this server keeps for one connection."""

    __slots__ = ("conversation", "server", "transport")

    def __init__(self, server: LeanServer) -> None:
        self.server = server
        self.conversation: Conversation | None = None

    @property
    def is_open(self) -> bool:
        """The handshake is done, and no good-bye was said."""
        talk = self.conversation
        if self.transport.is_closing():
            return False
        return talk is None or (talk.opened and not talk.over)

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.server.sockets.add(self)
        self.conversation = self.server.welcome()
        if self.conversation is None:
            transport.abort()
        else:
            self.server.busy.add(self)

    def data_received(self, data: bytes) -> None:
        talk = self.conversation or Conversation(opened=True)
        was_open = talk.opened
        reply = talk.receive(data)
        if talk.opened and not was_open:
            self.server.count()
        if talk.unfinished:
            self.conversation = talk
            self.server.busy.add(self)
        else:
            self.conversation = None
            self.server.busy.discard(self)
        if not reply:
            return
        self.transport.write(reply)
        if talk.over:
            # Not closed yet: that would reset the connection when the client has sent
            # more, and our last word might be lost. The client closes, or the sweep.
            self.transport.write_eof()

    def send(self, data: bytes) -> bool:
        """Write it; cut off who reads too slowly. Whether it was taken."""
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT:
            self.transport.abort()
            return False
        return True

    def pause_writing(self) -> None:
        """More than asyncio's 64 kB wait: who does not read is not read either."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.server.sockets.discard(self)
        self.server.busy.discard(self)
