"""One HTTP request a connection: what the servers of concurrency.py share.

:class:`RequestHead` and :func:`make_response` know nothing of sockets, so that both
ways to wait for a client, blocking and awaiting, stand on them. Enough of RFC 9112
for a GET; the body of a request is not read.
"""

from __future__ import annotations

import asyncio
import re
import socket
from http import HTTPStatus
from time import perf_counter

__all__ = [
    "Refused",
    "RequestHead",
    "make_response",
    "receive_path",
    "receive_path_async",
    "turn_away",
    "turn_away_async",
]

CHUNK = 4096  # bytes to receive at once; most heads are shorter
HEAD_LIMIT = 16 * 1024  # bytes; enough for every client, too few to hurt
HEAD_END = b"\r\n\r\n"
# RFC 9112, section 3: method SP request-target SP HTTP-version.
REQUEST_LINE = re.compile(rb"([A-Za-z]+) (/[!-~]*) HTTP/1\.[01]\r\n")
# How long, in seconds, and how much a refused client may go on talking. Closing a
# socket with unread data resets the connection, and the refusal would be lost.
LINGER = 1.0
LINGER_CHUNKS = 1024


# -- bytes in, bytes out -----------------------------------------------------------


class Refused(Exception):
    """A request that gets an error for an answer, and no handler to see it."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.response = make_response(reason, status)


class RequestHead:
    """Collects what arrives until the head of a request is whole."""

    def __init__(self) -> None:
        self._received = bytearray()
        self.path: str | None = None
        """What the client asks for, its query included; None before it is known."""

    def feed(self, data: bytes) -> None:
        """Take what ``recv`` gave.

        Raises ConnectionError when that is nothing, for then the client has left;
        Refused when the head is no GET in HTTP/1, or too long.
        """
        if not data:
            raise ConnectionError("the client left before its request was whole")
        self._received += data
        if HEAD_END in self._received:
            self.path = _parse_path(self._received)
        elif len(self._received) > HEAD_LIMIT:
            raise Refused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the head of a request may have {HEAD_LIMIT:,} bytes",
            )


def _parse_path(head: bytearray) -> str:
    line = REQUEST_LINE.match(head)
    if line is None:
        first = bytes(head[:40])
        raise Refused(
            HTTPStatus.BAD_REQUEST, f"no HTTP/1 request, it starts with {first!r}"
        )
    method, path = (part.decode("ascii") for part in line.groups())
    if method != "GET":
        raise Refused(
            HTTPStatus.NOT_IMPLEMENTED, f"this server knows GET only, not {method}"
        )
    return path


def make_response(text: str, status: HTTPStatus = HTTPStatus.OK) -> bytes:
    """The whole answer. Raises TypeError when ``text`` is none."""
    if not isinstance(text, str):
        raise TypeError(f"a handler returns text, not {type(text).__name__}: {text!r}")
    body = text.encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n"
        "\r\n"
    )
    return head.encode("ascii") + body


# -- the two ways to wait for a client ---------------------------------------------


def receive_path(connection: socket.socket, seconds: float) -> str:
    """The path of a request that has ``seconds`` to arrive; blocks the thread.

    Raises Refused, also when the time is over; ConnectionError when the client left.
    """
    head = RequestHead()
    deadline = perf_counter() + seconds
    try:
        while head.path is None:
            head.feed(_receive(connection, deadline))
    except TimeoutError:
        raise _too_slow(seconds) from None
    return head.path


async def receive_path_async(connection: socket.socket, seconds: float) -> str:
    """The same for a coroutine, which leaves the thread to others meanwhile."""
    head = RequestHead()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            while head.path is None:
                head.feed(await loop.sock_recv(connection, CHUNK))
    except TimeoutError:
        raise _too_slow(seconds) from None
    return head.path


def _receive(connection: socket.socket, deadline: float) -> bytes:
    # A time-out for each recv alone would never end a client of a byte a second.
    connection.settimeout(max(deadline - perf_counter(), 0.001))
    return connection.recv(CHUNK)


def _too_slow(seconds: float) -> Refused:
    return Refused(
        HTTPStatus.REQUEST_TIMEOUT, f"the request was not whole within {seconds:g} s"
    )


def turn_away(connection: socket.socket, refused: Refused) -> None:
    """Send the refusal, and listen on until the client has read it."""
    deadline = perf_counter() + LINGER
    connection.sendall(refused.response)
    connection.shutdown(socket.SHUT_WR)
    for _ in range(LINGER_CHUNKS):
        if not _receive(connection, deadline):
            break


async def turn_away_async(connection: socket.socket, refused: Refused) -> None:
    """The same for a coroutine."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LINGER):
        await loop.sock_sendall(connection, refused.response)
        connection.shutdown(socket.SHUT_WR)
        for _ in range(LINGER_CHUNKS):
            if not await loop.sock_recv(connection, CHUNK):
                break
