"""What a DNS server decides from the bytes of a query alone: no sockets here.

A header of 12 bytes comes first: an id, flags, and the number of records in each
of four sections (RFC 1035 section 4.1). dnspython reads all that follows.
"""

from __future__ import annotations

import struct

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from dns.message import Message
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rrset import RRset

__all__ = [
    "PAYLOAD",
    "QueryError",
    "header_only",
    "is_query",
    "matches",
    "parse_query",
    "refusal",
    "response_to",
    "udp_limit",
]

HEADER = struct.Struct("!6H")
OPCODE_BITS = 0x7800

# What passes every usual path without being split into fragments: 1280, the
# smallest MTU of IPv6, less its headers. DNS Flag Day 2020; dig asks for it too.
PAYLOAD = 1232
# What a client takes that does not say otherwise (RFC 1035 section 4.2.1).
PLAIN_PAYLOAD = 512
# A question is at most 259 bytes, and EDNS adds a few options.
MAX_QUERY = 4096


class QueryError(Exception):
    """Bytes that are no query we can read. ``rcode`` is what to tell the client."""

    def __init__(self, rcode: Rcode, reason: str) -> None:
        super().__init__(f"{dns.rcode.to_text(rcode)}: {reason}")
        self.rcode = rcode


def is_query(wire: bytes) -> bool:
    """Whether there is anything to answer: a whole header whose QR bit is 0.

    A server that answers answers can be sent into an endless talk with itself.
    """
    return len(wire) >= HEADER.size and not wire[2] & 0x80


def parse_query(wire: bytes) -> Message:
    """The message in ``wire``, for which :func:`is_query` holds; one question.

    Raises QueryError with NOTIMP for an opcode other than QUERY, and with FORMERR
    for what breaks the format, is over 4096 bytes, or does not have exactly one
    question (RFC 9619).
    """
    _, flags, *counts = HEADER.unpack_from(wire)
    if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        raise QueryError(dns.rcode.NOTIMP, "only the opcode QUERY is served")
    if len(wire) > MAX_QUERY:
        raise QueryError(dns.rcode.FORMERR, f"a query of {len(wire)} bytes")
    # No answer yet; IXFR brings one authority record (RFC 1995), and the last
    # section has room for EDNS and a signature. NSD draws the same line. It keeps
    # a message that announces thousands of records from costing us the parsing.
    most = (1, 0, 1, 2)
    if counts[0] != 1 or any(count > m for count, m in zip(counts, most, strict=True)):
        raise QueryError(dns.rcode.FORMERR, f"record counts {counts}")
    try:
        return dns.message.from_wire(wire)
    except Exception as error:  # whatever it is, the bytes are to blame
        raise QueryError(dns.rcode.FORMERR, repr(error)) from error


def refusal(query: Message) -> Rcode | None:
    """The error for a well-formed query that no server here serves, or None.

    BADVERS for an EDNS version after 0 (RFC 6891 section 6.1.3); REFUSED for a class
    other than IN and for zone transfers and other meta-types, ANY excepted.
    """
    question = query.question[0]
    if query.edns > 0:
        return dns.rcode.BADVERS
    if question.rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    meta = dns.rdatatype.is_metatype(question.rdtype)
    if meta and question.rdtype != dns.rdatatype.ANY:
        return dns.rcode.REFUSED
    return None


def matches(rrset: RRset, rdtype: RdataType) -> bool:
    """Whether a question for ``rdtype`` asks for ``rrset``; ANY asks for each."""
    return rdtype in (rrset.rdtype, dns.rdatatype.ANY)


def response_to(query: Message, *, recursion_available: bool = False) -> Message:
    """An empty response: same id and question, EDNS when the query has it."""
    response = dns.message.make_response(
        query,
        recursion_available=recursion_available,
        our_payload=PAYLOAD,
        pad=0,  # padding hides lengths under encryption only (RFC 7830 section 6)
    )
    response.ednsflags |= query.ednsflags & dns.flags.DO  # RFC 3225 section 3
    return response


def udp_limit(query: Message) -> int:
    """The most bytes that a response to ``query`` may have in one datagram."""
    if query.edns < 0:
        return PLAIN_PAYLOAD
    return min(max(query.payload, PLAIN_PAYLOAD), PAYLOAD)


def header_only(wire: bytes, rcode: Rcode) -> bytes:
    """The response to bytes that could not be read beyond their header."""
    id, flags, *_ = HEADER.unpack_from(wire)
    kept = flags & (OPCODE_BITS | dns.flags.RD)
    return HEADER.pack(id, dns.flags.QR | kept | rcode, 0, 0, 0, 0)
