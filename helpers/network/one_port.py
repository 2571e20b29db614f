"""A line for datagrams and one for TCP, on the same port: what DNS needs.

A client that gets a truncated answer by UDP asks again by TCP, at the same address
(RFC 7766, section 5).
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

from helpers.network.datagram_link import DatagramLink
from helpers.network.endpoint import Target
from helpers.network.link import Link

__all__ = ["links_on_one_port"]

TRIES = 50  # a port that is free for TCP is nearly always free for UDP


@contextlib.contextmanager
def links_on_one_port(
    target: Target, **settings: Any
) -> Iterator[tuple[DatagramLink, Link]]:
    """A DatagramLink and a Link to ``target`` with the same port and ``settings``.

    Raises OSError when no port is free for both, and what the two links raise.
    """
    udp, tcp = _start_both(target, settings)
    try:
        yield udp, tcp
    finally:
        udp.stop()
        tcp.stop()


def _start_both(target: Target, settings: dict[str, Any]) -> tuple[DatagramLink, Link]:
    for _ in range(TRIES):
        tcp = Link(target, **settings).start()
        try:
            return DatagramLink(target, port=tcp.port, **settings).start(), tcp
        except BaseException as error:
            tcp.stop()
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"of {TRIES} TCP ports none was free for UDP too")
