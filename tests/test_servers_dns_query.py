"""Reading a query and shaping its response, from bytes alone."""

import struct

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers.servers.dns_query import (
    QueryError,
    header_only,
    is_query,
    parse_query,
    refusal,
    response_to,
    udp_limit,
)

QUESTION = b"\x03www\x07example\x04test\x00\x00\x01\x00\x01"


def header(*, id=1, flags=0x0100, questions=1, answers=0, authority=0, additional=0):
    return struct.pack("!6H", id, flags, questions, answers, authority, additional)


def question(name):
    return header() + name + b"\x00\x01\x00\x01"


def labels(*sizes):
    return b"".join(bytes([size]) + b"x" * size for size in sizes) + b"\x00"


def test_plain_query():
    """A query is read into its question."""
    query = parse_query(header() + QUESTION)
    assert query.question[0].to_text() == "www.example.test. IN A"


@pytest.mark.parametrize(
    "wire",
    [
        question(b"\xc0\x0c"),  # points to itself
        question(b"\x01a\xc0\x0c"),  # points to its own start
        question(b"\xc0\x10\x00\x00\xc0\x0c"),  # points forward
        question(b"\xc0\xff"),  # points behind the end
        question(b"\xc0"),  # half a pointer
        question(b"\x41" + b"x" * 65 + b"\x00"),  # 0x41: not 65, but no label type
        question(labels(63, 63, 63, 62)),  # 256 bytes
        header() + QUESTION[:-1],
        header() + QUESTION[:5],
        header(),
        header() + QUESTION + b"trailing",
        header(questions=0),
        header(questions=2) + QUESTION * 2,
        header(questions=65535) + QUESTION,
        header(answers=1) + QUESTION + b"\xc0\x0c\x00\x01\x00\x01" + bytes(6),
        header(additional=65535) + QUESTION,
        header() + QUESTION + bytes(5000),
        # EDNS: cut short; twice; not at the root; an option longer than the record
        header(additional=1) + QUESTION + b"\x00\x00\x29\x10",
        header(additional=2)
        + QUESTION
        + b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\0\0" * 2,
        header(additional=1)
        + QUESTION
        + b"\x01a\x00\x00\x29\x10\x00\x00\x00\x00\x00\0\0",
        header(additional=1)
        + QUESTION
        + b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x04\x00\x0a\xff\xff",
    ],
)
def test_broken_format(wire):
    """What breaks the format is FORMERR, and the error says why."""
    assert is_query(wire)
    with pytest.raises(QueryError, match=r"FORMERR: .+") as caught:
        parse_query(wire)
    assert caught.value.rcode == dns.rcode.FORMERR


def test_long_chain_of_pointers():
    """A name that hops back from pointer to pointer is no way to keep us busy."""
    hops = b"".join(struct.pack("!H", 0xC000 | 12 + 2 * i) for i in range(1500))
    wire = header(additional=1) + b"\x00\x00\x01\x00\x01" + b"\x00\x00\x29" + bytes(6)
    wire += struct.pack("!H", len(hops)) + hops
    with pytest.raises(QueryError):
        parse_query(wire)


def test_long_query_is_refused():
    """Over 4096 bytes it is not read at all, however well it is formed."""
    padding = dns.edns.GenericOption(dns.edns.OptionType.PADDING, bytes(4096))
    query = dns.message.make_query("example.test", "A", options=[padding])
    with pytest.raises(QueryError, match=r"a query of 41\d\d bytes"):
        parse_query(query.to_wire(max_size=65535))


def test_longest_name_is_read():
    """255 bytes of name are allowed, with labels of 63."""
    query = parse_query(question(labels(63, 63, 63, 61)))
    assert len(query.question[0].name.to_wire()) == 255


@pytest.mark.parametrize(
    "opcode", [opcode for opcode in range(16) if opcode != dns.opcode.QUERY]
)
def test_other_opcodes(opcode):
    """Each opcode but QUERY is NOTIMP, and the answer repeats it."""
    wire = header(flags=opcode << 11) + QUESTION
    with pytest.raises(QueryError) as caught:
        parse_query(wire)
    answer = dns.message.from_wire(header_only(wire, caught.value.rcode))
    assert answer.rcode() == dns.rcode.NOTIMP
    assert answer.opcode() == opcode


@pytest.mark.parametrize("wire", [b"", b"\x00" * 11, header(flags=0x8000) + QUESTION])
def test_nothing_to_answer(wire):
    """Less than a header, and an answer, are no queries."""
    assert not is_query(wire)


def test_header_only():
    """The answer to bytes beyond reading keeps id and RD, and has no records."""
    answer = dns.message.from_wire(
        header_only(header(id=0xBEEF, flags=0x01FF), dns.rcode.FORMERR)
    )
    assert answer.id == 0xBEEF
    assert answer.flags == dns.flags.QR | dns.flags.RD | dns.rcode.FORMERR
    assert answer.question == []


@pytest.mark.parametrize(
    ("options", "rcode"),
    [
        ({"rdtype": "A"}, None),
        ({"rdtype": "ANY"}, None),
        ({"rdtype": "A", "rdclass": "CH"}, dns.rcode.REFUSED),
        ({"rdtype": "AXFR"}, dns.rcode.REFUSED),
        ({"rdtype": "IXFR"}, dns.rcode.REFUSED),
        ({"rdtype": "TKEY"}, dns.rcode.REFUSED),
        ({"rdtype": "OPT"}, dns.rcode.REFUSED),
        ({"rdtype": "A", "use_edns": 1}, dns.rcode.BADVERS),
    ],
)
def test_refusal(options, rcode):
    """Other classes, meta-types and later EDNS versions have an error each."""
    query = dns.message.make_query("www.example.test", **options)
    assert refusal(parse_query(query.to_wire())) == rcode


def test_response_mirrors_the_query():
    """Same id, question as it was spelled, EDNS and DO only when asked with."""
    plain = dns.message.make_query("wWw.example.test", "A", use_edns=False)
    signed = dns.message.make_query("wWw.example.test", "A", want_dnssec=True)
    for query in (plain, signed):
        response = response_to(query)
        assert query.is_response(response)
        assert response.question[0].name.to_text() == "wWw.example.test."
        assert response.edns == query.edns
        assert response.ednsflags == query.ednsflags


@pytest.mark.parametrize(
    ("payload", "limit"), [(None, 512), (0, 512), (512, 512), (900, 900), (65535, 1232)]
)
def test_udp_limit(payload, limit):
    """512 bytes without EDNS; with it what the client takes, up to 1232."""
    query = dns.message.make_query("example.test", "A", use_edns=False)
    if payload is not None:
        query.use_edns(0, payload=payload)
    assert udp_limit(query) == limit


@given(st.binary(max_size=80), st.integers(0, 2))
@example(b"\xc0\x0c\x00\x01\x00\x01", 0)
def test_any_bytes_are_read_or_refused(body, additional):
    """Whatever follows the header: a message with one question, or QueryError."""
    try:
        query = parse_query(header(additional=additional) + body)
    except QueryError as error:
        assert error.rcode == dns.rcode.FORMERR
    else:
        assert len(query.question) == 1
