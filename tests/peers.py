"""Small servers on bare sockets, for tests that care about every byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

PATIENCE = 30.0  # seconds until a socket that should have spoken fails its test


@contextlib.contextmanager
def serving(
    handle: Callable[[socket.socket], object], *, host: str = "127.0.0.1"
) -> Iterator[tuple[str, int]]:
    """Serve each connection by ``handle(socket)`` on a thread; yields the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=4096)
    with contextlib.ExitStack() as stack:
        thread = threading.Thread(target=_accept, args=(listener, handle, stack))
        thread.start()
        try:
            yield listener.getsockname()[:2]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            thread.join()
            listener.close()


def _accept(
    listener: socket.socket,
    handle: Callable[[socket.socket], object],
    stack: contextlib.ExitStack,
) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.settimeout(PATIENCE)
        thread = threading.Thread(target=_serve, args=(handle, peer))
        thread.start()
        stack.callback(thread.join)
        stack.callback(_wake, peer)


def _serve(handle: Callable[[socket.socket], object], peer: socket.socket) -> None:
    with peer, contextlib.suppress(OSError):
        handle(peer)


def _wake(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)


def echo(peer: socket.socket) -> None:
    """Send back what comes, until the client says no more."""
    while data := peer.recv(65536):
        peer.sendall(data)


class Sink:
    """Swallows and keeps what comes; ``error`` is how it ended, if badly."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.error: OSError | None = None
        self.ended = threading.Event()

    def __call__(self, peer: socket.socket) -> None:
        try:
            while data := peer.recv(65536):
                self.received += data
        except OSError as error:
            self.error = error
        self.ended.set()


def connect(address: tuple[str, int]) -> socket.socket:
    """A client's socket that gives up after PATIENCE."""
    return socket.create_connection(address[:2], timeout=PATIENCE)


def receive(sock: socket.socket, size: int) -> bytes:
    """Exactly ``size`` bytes, or fewer when the other end said no more."""
    data = bytearray()
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return bytes(data)


def receive_all(sock: socket.socket) -> bytes:
    """All bytes until the other end says no more."""
    data = bytearray()
    while more := sock.recv(65536):
        data += more
    return bytes(data)


def receive_until(sock: socket.socket, end: bytes) -> bytes:
    """All bytes until they end in ``end``, or the other end says no more."""
    data = bytearray()
    while not data.endswith(end) and (more := sock.recv(65536)):
        data += more
    return bytes(data)
