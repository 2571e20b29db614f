"""Turnstile: after a restart it lets in so many clients a second, and no more.

A client connects and waits for ``hello``; then it is in. Those who come faster wait in
the queue of the listening socket, and when that is full the kernel drops what asks to
connect: such a client hears nothing at all. One that is in may send

    restart 0.5

Then the port closes, all connections are cut, and 0.5 seconds later it listens again
at the same port, with cold caches. Until its first restart it is warm, and lets in
all who come.
"""

from __future__ import annotations

import asyncio
import re
import socket
from time import monotonic
from typing import Any

from helpers.network.endpoint import reset
from helpers.server import BACKLOG, Server

__all__ = ["HELLO", "Turnstile"]

HELLO = b"hello\n"
RESTART = re.compile(rb"restart (\d{1,3}(?:\.\d{1,3})?)\n")
TICK = 0.01  # seconds between two looks at the queue
SAVED = 0.05  # seconds: what it did not use for longer than that is lost


class Turnstile(Server):
    """Lets in ``rate`` clients a second after a restart; at most ``backlog`` wait.

    At most ``max_clients`` are in: who comes then is cut at once.

    Raises ValueError when one of them is not above zero.
    """

    def __init__(
        self,
        *,
        rate: float = 1000.0,
        backlog: int = 256,
        max_clients: int = 10_000,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        if not (rate > 0 and backlog > 0 and max_clients > 0):
            raise ValueError("rate, backlog and max_clients are above zero")
        self.rate = rate
        self.backlog = backlog
        self.max_clients = max_clients
        self._clients: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._admitting: asyncio.Task | None = None

    @property
    def clients(self) -> int:
        """How many are in."""
        return len(self._clients)

    async def open(self, host: str, port: int) -> int:
        self._loop = asyncio.get_running_loop()
        self._warm = True
        self._allowed, self._looked = 0.0, monotonic()
        self._listener = _listen((host, port), BACKLOG)
        self._address = self._listener.getsockname()
        self._admitting = asyncio.create_task(self._admit())
        return self._address[1]

    async def close(self) -> None:
        if self._admitting is not None:
            self._admitting.cancel()
            await asyncio.wait([self._admitting])
        self._shut()

    async def _admit(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            for _ in range(self._allowance()):
                if self._listener is None or not self._admit_one(self._listener):
                    break
                self._allowed -= 1

    def _allowance(self) -> int:
        """How many may come in now: a token bucket, filled at ``rate``."""
        if self._warm:
            return BACKLOG
        now = monotonic()
        earned = (now - self._looked) * self.rate
        self._allowed = min(self._allowed + earned, max(1, SAVED * self.rate))
        self._looked = now
        return int(self._allowed)

    def _admit_one(self, listener: socket.socket) -> bool:
        """Whether somebody was there. Who gave up meanwhile took a turn as well."""
        try:
            client, _ = listener.accept()
        except OSError:  # nobody there, or no descriptor left
            return False
        self._requests += 1
        client.setblocking(False)
        if len(self._clients) >= self.max_clients:
            reset(client)
            return True
        self._clients.add(client)
        self._loop.add_reader(client, self._hear, client)
        try:
            client.send(HELLO)
        except OSError:
            self._cut(client)
        return True

    def _hear(self, client: socket.socket) -> None:
        try:
            said = client.recv(64)
        except OSError:
            said = b""
        if not said:
            self._cut(client)
        elif asked := RESTART.fullmatch(said):
            self._shut()
            self._loop.call_later(float(asked[1]), self._listen_again)

    def _listen_again(self) -> None:
        if self._admitting.done() or self._listener is not None:
            return  # it was stopped meanwhile
        self._listener = _listen(self._address, self.backlog)
        self._warm = False
        self._allowed, self._looked = 0.0, monotonic()

    def _shut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for client in self._clients.copy():
            self._cut(client)

    def _cut(self, client: socket.socket) -> None:
        self._clients.discard(client)
        self._loop.remove_reader(client)
        reset(client)


def _listen(address: tuple[str, int], backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.create_server(address[:2], family=family, backlog=backlog)
    listener.setblocking(False)
    return listener
