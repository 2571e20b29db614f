"""What the tests of the score server do to it, by HTTP and by WebSocket."""

from __future__ import annotations

import socket

from helpers.servers.scores import ScoreServer
from tests.peers import PATIENCE


def publish(server: ScoreServer, count: int, **facts: object) -> None:
    """So many goals."""
    for _ in range(count):
        server.publish("goal", **facts)


def begin_reading_nothing(address: tuple[str, int], request: str) -> socket.socket:
    """A client that asks, and then leaves all that comes lie."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(PATIENCE)
    sock.connect(address)
    sock.sendall(request.encode())
    return sock
