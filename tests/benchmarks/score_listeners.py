"""Subscribers of a score server that cost less than what they measure.

They parse nothing: they count how often an event's ``"born":`` comes by, and read its
age from what follows. The clock is the same in all processes of a machine.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from time import perf_counter

BORN = b'"born":'
AGE = re.compile(rb'"born":([0-9.]+)')
LAST = re.compile(rb'"last":([0-9]+)')
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@dataclass
class Heard:
    """What all subscribers of one measurement heard."""

    count: int = 0
    timed: bool = False
    ages: list[float] = field(default_factory=list)
    wanted: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, data: bytes) -> None:
        """Events that are whole in ``data``."""
        if self.timed:
            now = perf_counter()
            self.ages += [now - float(born) for born in AGE.findall(data)]
        self.count += data.count(BORN)
        if self.count >= self.wanted:
            self.reached.set()

    async def until(self, count: int, patience: float = 120.0) -> None:
        """Wait until so many were heard in all. Raises TimeoutError."""
        self.wanted = count
        self.reached.clear()
        if self.count < count:
            async with asyncio.timeout(patience):
                await self.reached.wait()


class Listener(asyncio.Protocol):
    """On a stream or a WebSocket: whatever comes after the response's head."""

    def __init__(self, heard: Heard, path: str, headers: str = "") -> None:
        self.heard = heard
        self.request = f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()
        self.ready = asyncio.get_running_loop().create_future()
        self._rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            self.ready.set_result(None)
        data = self._rest + data
        # The last event may go on in what comes next; all end in a brace.
        whole = data.rfind(b"}") + 1
        self._rest = data[whole:]
        if whole:
            self.heard.add(data[:whole])


class Poller(asyncio.Protocol):
    """Asks again when it has its answer: at once, or ``every`` so many seconds."""

    def __init__(
        self, heard: Heard, since: int | None, *, wait: bool, every: float = 0.0
    ) -> None:
        self.heard = heard
        self.fixed = since is not None  # it asks for the same again and again
        self.since = since or 0
        self.every = every
        self.wait = "&wait=30" if wait else ""
        self._buffer = b""
        self._asking: asyncio.TimerHandle | None = None
        self.ready = asyncio.get_running_loop().create_future()
        self.ready.set_result(None)

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def begin(self, since: int, delay: float) -> None:
        if not self.fixed:
            self.since = since
        self._ask_in(delay)

    def connection_lost(self, error: Exception | None) -> None:
        if self._asking is not None:
            self._asking.cancel()

    def _ask_in(self, delay: float) -> None:
        self._asking = asyncio.get_running_loop().call_later(delay, self._ask)

    def _ask(self) -> None:
        path = f"/events?since={self.since}{self.wait}"
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n") + 4
        if head < 4:
            return
        length = int(LENGTH.search(self._buffer)[1])
        if len(self._buffer) < head + length:
            return
        body, self._buffer = self._buffer[head:], b""
        if not self.fixed:
            self.since = int(LAST.search(body)[1])
        self.heard.add(body)
        if self.every:
            self._ask_in(self.every)
        else:
            self._ask()
