"""What the lean WebSocket servers share: their bounds, their listener, one clock."""

from __future__ import annotations

import asyncio
import socket
from abc import abstractmethod
from collections.abc import Iterator
from time import monotonic
from typing import Any

from helpers.server import BACKLOG, Server
from helpers.servers.lean_protocol import (
    CloseCode,
    Conversation,
    Opcode,
    close_frame,
    frame,
)

__all__ = ["GOING_AWAY", "MAX_UNSENT", "LeanWebSockets"]

# Bytes that wait for one client, here or in the kernel: beyond that it is cut off.
MAX_UNSENT = 64 * 1024
PATIENCE = 10.0  # seconds for a handshake, for the rest of a frame, for a good-bye
REFUSALS = 256  # connections beyond the limit that are told why
GOING_AWAY = close_frame(CloseCode.GOING_AWAY, "the server stops")


class LeanWebSockets(Server):
    """What the lean servers share. Subclasses keep the connections, in their way.

    limit        connections at a time; those beyond get a 503, and a great many beyond
                 it nothing
    patience     seconds for whatever a client has begun: its handshake, the rest of a
                 frame, its part of the good-bye; then it is cut off
    keepalive    seconds of silence after which our kernel asks the client's whether
                 the connection is still there (TCP keep-alive), so that dead ones go.
                 A ping would tell more, that the program lives too; this needs no
                 timer and no memory of ours.
    """

    def __init__(
        self,
        *,
        limit: int = 1_000_000,
        patience: float = PATIENCE,
        keepalive: float = 300.0,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        if limit < 1 or patience <= 0 or keepalive < 1:
            raise ValueError("limit and keepalive are at least 1, patience above 0")
        self.limit = limit
        self.patience = patience
        self.keepalive = keepalive
        self._sweeping: asyncio.Task | None = None

    @property
    @abstractmethod
    def connections(self) -> int:
        """Those that are there now, in their handshake or their good-bye too."""

    @abstractmethod
    def send_to_all(self, data: bytes) -> int:
        """Write a frame to all who are open; on the loop. Returns how many took it.

        Nobody is waited for: who has too much unsent already is cut off.
        """

    @abstractmethod
    def unfinished(self) -> Iterator[tuple[Any, Conversation]]:
        """Those who have begun something, and what."""

    @abstractmethod
    def cut_off(self, connection: Any) -> None:
        """End it at once, without good-bye."""

    def broadcast(self, text: str) -> None:
        """Tell all who are connected; from any thread, returns at once."""
        self.call_soon(self.send_to_all, frame(Opcode.TEXT, text.encode()))

    @property
    def url(self) -> str:
        """``ws://127.0.0.1:PORT``, without a slash at its end."""
        return super().url.replace("http://", "ws://")

    def welcome(self) -> Conversation | None:
        """For a client that came and is counted; None: there is no room even for no."""
        beyond = self.connections - self.limit
        return Conversation(welcome=beyond <= 0) if beyond <= REFUSALS else None

    # -- for subclasses ----------------------------------------------------------------

    def listen(self, host: str, port: int) -> socket.socket:
        """A listener. What is set here once, every accepted socket inherits."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            for level, option, value in self._options():
                listener.setsockopt(level, option, value)
            listener.bind((host, port))
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    def _options(self) -> Iterator[tuple[int, int, int]]:
        yield socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        yield socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_UNSENT
        yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
        yield socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        if hasattr(socket, "TCP_KEEPIDLE"):  # elsewhere it is two hours
            yield socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(self.keepalive)

    def start_sweeping(self) -> None:
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def stop_sweeping(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])

    async def _sweep(self) -> None:
        """One clock for all: a timer for each connection would be one object more."""
        while True:
            await asyncio.sleep(min(self.patience / 4, 1.0))
            too_late = monotonic() - self.patience
            for connection, conversation in tuple(self.unfinished()):
                if conversation.since < too_late:
                    self.cut_off(connection)
