"""A subscriber by HTTP: one response that does not end, in chunks (RFC 9112, 7.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from aiohttp import HttpVersion11, web

from helpers.servers import sse
from helpers.servers.fan_out import Subscriber
from helpers.servers.feed import Event

__all__ = ["EVENT_STREAM", "JSON_LINES", "Form", "HTTPStream"]


@dataclass(frozen=True, eq=False)
class Form:
    """How events look in one kind of stream."""

    name: str
    headers: dict[str, str]
    encode: Callable[[Event], bytes]
    heartbeat: bytes


EVENT_STREAM = Form(
    "event stream", sse.HEADERS, lambda event: event.sse, sse.comment("heartbeat")
)
JSON_LINES = Form(
    "JSON lines",
    sse.HEADERS | {"Content-Type": "application/x-ndjson"},
    lambda event: event.line,
    b"\n",  # a reader of JSON lines skips an empty one
)


@lru_cache(maxsize=16)
def chunk(data: bytes) -> bytes:
    """Framed once, and then the same bytes for every subscriber."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class HTTPStream(Subscriber):
    """Events on a response that is prepared already."""

    def __init__(
        self, request: web.Request, response: web.StreamResponse, form: Form
    ) -> None:
        super().__init__(form.name, request.transport)
        self._response = response
        self._form = form
        # HTTP/1.0 knows no chunks: there the end of the connection ends the body.
        self._frame = chunk if request.version >= HttpVersion11 else bytes

    def send(self, event: Event) -> None:
        """Straight to the transport: it never waits, as ``response.write`` might."""
        self.transport.write(self._frame(self._form.encode(event)))

    async def write(self, events: list[Event]) -> None:
        await self._response.write(b"".join(map(self._form.encode, events)))

    def beat(self) -> None:
        self.transport.write(self._frame(self._form.heartbeat))

    async def finish(self, patience: float) -> None:
        """End the response in good order; by force when nobody reads its end."""
        try:
            async with asyncio.timeout(patience):
                await self._response.write_eof()
        except (TimeoutError, ConnectionError):
            self.transport.abort()
