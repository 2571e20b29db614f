"""From bytes to messages: what a capture holds, in the words of its protocol.

What does not parse is shown as the bytes that it is, with a note that says why;
nothing here raises on hostile input.
"""

from __future__ import annotations

from collections.abc import Iterator

from helpers.network.capture import Capture, Crossing, Direction, Event
from helpers.network.dns_wire import decode_datagrams, decode_dns_over_tcp, dns_or_none
from helpers.network.http1 import decode_http
from helpers.network.message import Message
from helpers.network.stream import Stream

__all__ = ["Message", "decode"]

PROTOCOLS = ("HTTP/1.1", "DNS", "bytes")
METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")


def decode(
    capture: Capture, *, url: str | None = None, protocol: str | None = None
) -> list[Message]:
    """All messages of a capture, by the time at which they were sent.

    Behind an upgrade to WebSocket each frame is one; of an answer that is a stream
    (server-sent events, JSON lines) its head is one, and so is each event or line.
    ``protocol`` is "HTTP/1.1", "DNS" or "bytes"; by default it is recognised.
    ``url`` is the address that the curl and dig lines name. The sizes of the
    messages add up to what entered the link. Raises ValueError for a ``protocol``
    that it does not know.
    """
    if protocol not in (None, *PROTOCOLS):
        raise ValueError(f"protocol is one of {PROTOCOLS}, or None; not {protocol!r}")
    by_connection: dict[int, list[Crossing]] = {}
    for crossing in capture:
        by_connection.setdefault(crossing.connection, []).append(crossing)
    messages: list[Message] = []
    for crossings in by_connection.values():
        if capture.transport == "udp":
            messages += decode_datagrams(crossings, protocol, url)
        else:
            messages += _connection(crossings, protocol, url)
    return sorted(messages, key=lambda message: message.sent)


# -- a TCP connection ------------------------------------------------------------------

SIGNS = {
    Event.OPEN: "TCP handshake",
    Event.STALL: "the line falls silent",
    Event.END: "end (FIN)",
    Event.RESET: "reset (RST)",
    Event.CUT: "cut by the link",
}


def _connection(
    crossings: list[Crossing], protocol: str | None, url: str | None
) -> Iterator[Message]:
    for crossing in crossings:
        if crossing.event in SIGNS:
            yield _sign(crossing)
    streams = {way: Stream(crossings, way) for way in Direction}
    first = streams[Direction.TO_SERVER].data
    protocol = protocol or _recognise(first)
    if protocol == "HTTP/1.1":
        yield from decode_http(streams, url)
    elif protocol == "DNS":
        for stream in streams.values():
            yield from decode_dns_over_tcp(stream, url)
    else:
        for stream in streams.values():
            yield from stream.leftover(0, "")
            yield from stream.unseen()


def _sign(crossing: Crossing) -> Message:
    return Message(
        crossing.sent,
        crossing.arrived,
        crossing.connection,
        crossing.direction,
        "TCP",
        SIGNS[crossing.event],
    )


def _recognise(first: bytes) -> str:
    if first.startswith(METHODS):
        return "HTTP/1.1"
    size = int.from_bytes(first[:2], "big")
    if len(first) >= 14 and len(first) >= size + 2 and dns_or_none(first[2:][:size]):
        return "DNS"
    return "bytes"
