"""DNS in a capture, over UDP and TCP, read by dnspython (RFC 1035)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from helpers.network.capture import Crossing, Event
from helpers.network.message import Message
from helpers.network.stream import Stream, is_known

__all__ = ["decode_datagrams", "decode_dns_over_tcp", "dns_or_none"]


def decode_datagrams(
    crossings: list[Crossing], protocol: str | None, url: str | None
) -> Iterator[Message]:
    for crossing in crossings:
        if crossing.event is not Event.DATA:
            continue
        found = dns_or_none(crossing.data) if protocol in (None, "DNS") else None
        bare = Message(
            crossing.sent,
            crossing.arrived,
            crossing.connection,
            crossing.direction,
            "bytes",
            f"{crossing.size} bytes",
            crossing.data,
            crossing.size,
            note=_fate(crossing),
            complete=is_known(crossing),
        )
        yield _as_dns(bare, found, url, []) if found else bare


def _fate(crossing: Crossing) -> str:
    if crossing.lost:
        return "lost on the way"
    return "" if is_known(crossing) else "the capture had no room for it"


def decode_dns_over_tcp(stream: Stream, url: str | None) -> Iterator[Message]:
    """Each message has its length before it, in two bytes (RFC 1035, section 4.2.2)."""
    position = 0
    while True:
        end = position + 2 + int.from_bytes(stream.data[position : position + 2], "big")
        found = dns_or_none(stream.data[position + 2 : end])
        if found is None or end > len(stream.data):
            break
        yield _as_dns(stream.message(position, end, "DNS", ""), found, url, ["+tcp"])
        position = end
    yield from stream.leftover(position, "this does not parse as DNS over TCP")
    yield from stream.unseen()


def dns_or_none(data: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(data)
    except Exception:  # hostile bytes raise more than the library's own exceptions
        return None


def _as_dns(
    message: Message, found: dns.message.Message, url: str | None, options: list[str]
) -> Message:
    if not found.flags & dns.flags.QR:
        asked = " ".join(
            f"{dns.rdatatype.to_text(question.rdtype)}? {question.name}"
            for question in found.question
        )
        dig = _dig(found, url, options)
        return replace(message, protocol="DNS", title=asked or "no question", curl=dig)
    records = [str(record) for rrset in found.answer for record in rrset]
    if found.flags & dns.flags.TC:
        title = "truncated (TC): ask again over TCP"
    elif found.rcode() != dns.rcode.NOERROR:
        title = dns.rcode.to_text(found.rcode())
    elif len(records) == 1:
        title = records[0]
    else:
        title = f"{len(records)} answers" if records else "no data"
    headers = tuple(("answer", str(rrset)) for rrset in found.answer)
    return replace(message, protocol="DNS", title=title, headers=headers)


def _dig(found: dns.message.Message, url: str | None, options: list[str]) -> str | None:
    """The command line that asks the same question."""
    if not found.question:
        return None
    question = found.question[0]
    parts = urlsplit(url or "")
    address = [f"@{parts.hostname or 'SERVER'}", "-p", str(parts.port or "PORT")]
    name, kind = str(question.name), dns.rdatatype.to_text(question.rdtype)
    return shlex.join(["dig", *address, *options, name, kind])
