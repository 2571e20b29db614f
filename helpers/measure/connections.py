"""Idle WebSocket connections in number, from a client that costs next to nothing.

A client of a library would take more memory than the server that is to be measured.
This one is a blocking socket that says the same handshake each time, reads the answer,
and is then let go: what stays is its file descriptor, four bytes in an array.

    with room_for_descriptors(2000), IdleConnections(server.port) as crowd:
        crowd.open(2000)
        len(crowd)
"""

from __future__ import annotations

import os
import socket
import struct
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import psutil

__all__ = [
    "IdleConnections",
    "NoDescriptors",
    "most_connections",
    "room_for_descriptors",
]

# The key is a constant, so the answer is too. Compression is offered as browsers do.
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
ACCEPT = b"ICX+Yqv66kxgM0FcWaLWlFLwTAI="  # for that key (RFC 6455, section 4.2.2)
MAX_ANSWER = 4096
BATCH = 64  # handshakes under way at once: the server is woken once for many
PATIENCE = 30.0  # seconds for any one answer
SPARE = 64  # descriptors for all else that this process does
AT_ONCE = struct.pack("ii", 1, 0)  # struct linger: on, for 0 seconds
# Linux: choose a local port at connect(), so that one serves several destinations.
IP_BIND_ADDRESS_NO_PORT = 24


class NoDescriptors(RuntimeError):
    """A process may not have so many sockets at once; says how many, and the cure."""


class IdleConnections:
    """WebSockets to one server that stay open and say nothing.

    ``source`` is the address they come from, one of 127.0.0.0/8: a source address and
    a port have some 28,000 connections between them, and half as many at full speed.
    ``patience`` is how long, in seconds, a handshake or an answer may take.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        source: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.address = (host, port)
        self.source = source
        self.patience = patience
        self.descriptors = array("i")

    def __len__(self) -> int:
        return len(self.descriptors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, count: int) -> None:
        """Add ``count`` connections; blocks until each has its answer.

        Raises OSError when one can not connect, TimeoutError among them, and
        ConnectionError when the server does not agree to the handshake.
        """
        while count > 0:
            self._open_batch(min(count, BATCH))
            count -= BATCH

    def _open_batch(self, count: int) -> None:
        batch: list[socket.socket] = []
        try:
            for _ in range(count):
                batch.append(self._connect())
            for sock in batch:
                _read_answer(sock)
        except BaseException:
            for sock in batch:
                sock.close()
            raise
        self.descriptors.extend(sock.detach() for sock in batch)

    def _connect(self) -> socket.socket:
        sock = socket.socket()
        try:
            _set_time_limit(sock, self.patience)
            # Closed by a reset: a million connections in TIME_WAIT would outlive us.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            if self.source is not None:
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((self.source, 0))
            sock.connect(self.address)
            sock.send(REQUEST)
        except BlockingIOError:  # how the kernel says that its time is up
            sock.close()
            raise TimeoutError(f"no connection to {self.address} in time") from None
        except BaseException:
            sock.close()
            raise
        return sock

    def echo(self, text: bytes, where: Sequence[int]) -> int:
        """How many of those at ``where`` echo ``text`` (at most 125 bytes)."""
        return self._ask(0x1, text, where)

    def ping(self, index: int = -1) -> bool:
        """Whether that one answers a ping. The server has then done with all before."""
        return self._ask(0x9, b"", [index]) == 1

    def _ask(self, opcode: int, payload: bytes, where: Sequence[int]) -> int:
        answer = bytes([0x80 | {0x9: 0xA}.get(opcode, opcode), len(payload)]) + payload
        question = bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload
        asked = [self.descriptors[index] for index in where]
        for descriptor in asked:
            _write(descriptor, question)
        return sum(_read(descriptor, len(answer)) == answer for descriptor in asked)

    def hear(self, message: bytes) -> int:
        """Read one broadcast from each; how many got just this text."""
        expected = bytes([0x81, len(message)]) + message
        size = len(expected)
        return sum(_read(each, size) == expected for each in self.descriptors)

    def close(self) -> None:
        """Idempotent."""
        while self.descriptors:
            os.close(self.descriptors.pop())


def _set_time_limit(sock: socket.socket, seconds: float) -> None:
    """For each call, kept by the kernel: settimeout() would make the socket one that
    does not block, and cost a system call more for each."""
    limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, limit)


def _read_answer(sock: socket.socket) -> None:
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < MAX_ANSWER:
        try:
            more = sock.recv(MAX_ANSWER)
        except BlockingIOError:
            raise TimeoutError("the server does not answer the handshake") from None
        if not more:
            break
        answer += more
    if not answer.startswith(b"HTTP/1.1 101 ") or ACCEPT not in answer:
        first = answer.partition(b"\r\n")[0].decode("latin-1")
        raise ConnectionError(f"no WebSocket: the server says {first!r}")


def _write(descriptor: int, data: bytes) -> None:
    try:
        os.write(descriptor, data)
    except OSError:  # it is closed: then there will be no answer, which counts
        pass


def _read(descriptor: int, size: int) -> bytes:
    """So many bytes; fewer when there are no more, or not in time."""
    data = b""
    try:
        while len(data) < size and (more := os.read(descriptor, size - len(data))):
            data += more
    except OSError:  # the time is up, or the connection was reset
        pass
    return data


@contextmanager
def room_for_descriptors(count: int) -> Iterator[None]:
    """Let this process, and the children that it starts, have ``count`` more sockets.

    Raises the soft limit (RLIMIT_NOFILE) as far as needed, and puts it back at the end.
    Raises NoDescriptors when the hard one does not allow it.
    """
    limits = descriptor_limits()
    if limits is None:  # Windows has no such limit
        yield
        return
    import resource

    soft, hard = limits
    wanted = _in_use() + count + SPARE
    if wanted > hard:
        raise NoDescriptors(
            f"{count:,} connections need {wanted:,} file descriptors, and a process "
            f"here may have {hard:,}: raise that (`ulimit -Hn`), or ask for fewer"
        )
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    except ValueError:  # macOS has a limit below the one that it tells
        raise NoDescriptors(f"this system gives no {wanted:,} descriptors") from None
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def most_connections() -> int:
    """As many as the hard limit on descriptors leaves to this process."""
    limits = descriptor_limits()
    return limits[1] - _in_use() - SPARE if limits else 1_000_000


def descriptor_limits() -> tuple[int, int] | None:
    """The soft and the hard limit of this process; None where there is none."""
    try:
        import resource
    except ImportError:
        return None
    endless = resource.RLIM_INFINITY
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return tuple(1 << 30 if limit == endless else limit for limit in (soft, hard))


def _in_use() -> int:
    return psutil.Process().num_fds()
