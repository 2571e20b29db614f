"""Where a link leads, and what a relay must know of a socket beyond sending."""

from __future__ import annotations

import socket
import struct
import sys
from urllib.parse import urlsplit

from helpers.server import Startable

__all__ = ["Target", "address_of", "family_of", "reset", "unsent"]

Target = Startable | str | tuple[str, int]

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST
SIOCOUTQNSD = 0x894B  # include/uapi/linux/sockios.h: bytes written and not sent yet


def address_of(target: Target) -> tuple[str, int]:
    """Host and port of a running server, an http URL, or a (host, port) pair.

    Raises ConnectionRefusedError when a server does not run, ValueError for
    anything else.
    """
    if isinstance(target, Startable):
        if not target.running:
            raise ConnectionRefusedError(f"{target.name} does not run")
        return target.host, target.port
    if isinstance(target, str):
        parts = urlsplit(target)
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    elif isinstance(target, tuple) and len(target) == 2:
        return target
    raise ValueError(
        f"a link leads to a server, 'http://host:port' or (host, port); not {target!r}"
    )


def family_of(target: Target) -> socket.AddressFamily:
    """IPv6 for an address with colons, else IPv4; a server need not run for it."""
    host = target.host if isinstance(target, Startable) else address_of(target)[0]
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def reset(sock: socket.socket) -> None:
    """Close so that the other end gets a reset (RST), not an end (FIN)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()


def unsent(sock: socket.socket) -> int:
    """Bytes that wait in the socket because its other end has no room for them.

    A reset would lose them. 0 where the system can not be asked (not Linux).
    """
    if sys.platform != "linux":
        return 0
    import fcntl

    return struct.unpack("i", fcntl.ioctl(sock, SIOCOUTQNSD, bytes(4)))[0]
