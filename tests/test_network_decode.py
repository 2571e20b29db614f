"""helpers/network/decode.py, http1.py, dns_wire.py: from bytes to messages."""

from __future__ import annotations

import shlex
import struct

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.network.capture import Capture, Crossing, Direction, Event
from helpers.network.decode import Message, decode
from helpers.network.link import Link
from tests.test_server import Hello

UP, DOWN = Direction.TO_SERVER, Direction.TO_CLIENT
GET = b"GET /a HTTP/1.1\r\nHost: server\r\n\r\n"
HEAD = b"HEAD /a HTTP/1.1\r\nHost: server\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: server\r\nContent-Length: 4\r\n\r\nbody"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
)


def captured(*spoken: tuple[Direction, bytes], end: str = "") -> Capture:
    """What was said in turn, a second each; ``end`` of it: "fin", "cut" or nothing."""
    capture = Capture()
    for second, (direction, data) in enumerate(spoken):
        capture.record(
            Crossing(second, second + 0.5, 1, direction, Event.DATA, data, len(data))
        )
    if end == "fin":
        for direction in Direction:
            capture.record(Crossing(99.0, 99.5, 1, direction, Event.END))
    if end == "cut":
        capture.record(Crossing(99.0, 99.0, 1, DOWN, Event.CUT))
    return capture


def messages(capture: Capture, **options) -> list[Message]:
    """All but the signs of TCP."""
    return [m for m in decode(capture, **options) if m.protocol != "TCP"]


def titles(capture: Capture, **options) -> list[str]:
    return [message.title for message in messages(capture, **options)]


# -- HTTP/1.1 ------------------------------------------------------------------------


def test_a_request_and_its_answer():
    """With their headers, bodies, exact bytes and times."""
    request, answer = messages(captured((UP, POST), (DOWN, OK)))
    assert (request.title, request.body, request.raw) == ("POST /a", b"body", POST)
    assert request.headers[0] == ("host", "server")
    assert (request.sent, request.arrived) == (0, 0.5)
    assert (answer.title, answer.body, answer.raw) == ("200 OK", b"hello", OK)
    assert (answer.sent, answer.arrived) == (1, 1.5)
    assert answer.complete
    assert not answer.note


def test_requests_one_after_the_other_on_a_kept_connection():
    """In the order of the conversation."""
    capture = captured((UP, GET), (DOWN, OK), (UP, POST), (DOWN, CHUNKED))
    assert titles(capture) == ["GET /a", "200 OK", "POST /a", "200 OK"]
    assert messages(capture)[-1].body == b"hello"


def test_pipelined_requests_in_one_chunk():
    """Each is a message of its own, with its own bytes."""
    found = messages(captured((UP, GET + POST + GET), (DOWN, OK + CHUNKED + OK)))
    assert [m.raw for m in found] == [GET, POST, GET, OK, CHUNKED, OK]


def test_the_time_of_a_message_is_that_of_its_own_chunks():
    """From when its first byte was sent to when its last one arrived."""
    chunks = [GET[:10], GET[10:] + POST[:5], POST[5:]]
    first, second = messages(captured(*((UP, chunk) for chunk in chunks)))
    assert (first.sent, first.arrived) == (0, 1.5)
    assert (second.sent, second.arrived) == (1, 2.5)


def test_an_answer_to_head_has_no_body():
    """Its Content-Length tells what GET would have got (RFC 9112, section 6.3)."""
    head_answer = OK.removesuffix(b"hello")
    capture = captured((UP, HEAD), (DOWN, head_answer), (UP, GET), (DOWN, OK))
    assert [m.body for m in messages(capture)] == [b"", b"", b"", b"hello"]
    assert all(message.complete for message in messages(capture))


def test_an_interim_answer_comes_before_the_final_one():
    """100 Continue belongs to the same request as the 200 behind it."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    capture = captured((UP, HEAD), (DOWN, interim + OK[:-5]), (UP, GET), (DOWN, OK))
    assert titles(capture) == ["HEAD /a", "100 Continue", "200 OK", "GET /a", "200 OK"]


UPGRADE = b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
)


def test_bytes_after_an_upgrade_are_bytes():
    """The connection speaks another protocol from then on."""
    frame = b"\x81\x05hello"
    found = messages(captured((UP, UPGRADE), (DOWN, SWITCH + frame), (UP, frame)))
    assert [m.title for m in found] == [
        "GET /up",
        "101 Switching Protocols",
        "7 bytes",
        "7 bytes",
    ]
    assert found[2].raw == found[3].raw == frame
    assert found[2].note == found[3].note == "after an upgrade to echo"


def test_a_refused_upgrade_changes_nothing():
    """What follows is HTTP as before."""
    capture = captured((UP, UPGRADE), (DOWN, OK), (UP, GET), (DOWN, OK))
    assert titles(capture) == ["GET /up", "200 OK", "GET /a", "200 OK"]


UNTIL_END = b"HTTP/1.1 200 OK\r\n\r\nhello"


def test_a_body_without_length_lasts_until_the_end():
    """It is whole when the server ends in good order, and not before."""
    whole = messages(captured((UP, GET), (DOWN, UNTIL_END), end="fin"))[1]
    assert (whole.body, whole.complete) == (b"hello", True)
    for end, note in (("cut", "cut off"), ("", "still under way:")):
        part = messages(captured((UP, GET), (DOWN, UNTIL_END), end=end))[1]
        assert (part.body, part.complete) == (b"hello", False)
        assert part.note == f"{note} after 5 bytes of the body"


@pytest.mark.parametrize("end", ["fin", "cut"])
def test_a_body_that_was_cut_off_says_so(end):
    """How much came of how much."""
    message = messages(captured((UP, GET), (DOWN, OK[:-2]), end=end))[1]
    assert not message.complete
    assert message.body == b"hel"
    assert message.note == "cut off after 3 of 5 bytes of the body"


def test_what_was_lost_belongs_to_the_message_that_it_was_of():
    """It counts in its size, and the message did not arrive."""
    capture = captured((UP, POST[:-2]), end="cut")
    capture.record(Crossing(1.0, None, 1, UP, Event.DATA, b"", 2))
    (message,) = messages(capture)
    assert message.arrived is None
    assert message.size == len(POST)
    assert message.note == "cut off after 2 of 4 bytes of the body"


def test_a_request_that_was_lost_whole_is_shown():
    """As bytes that did not arrive: more is not known."""
    capture = captured()
    capture.record(Crossing(1.0, None, 1, UP, Event.DATA, b"", 70))
    (message,) = messages(capture)
    assert (message.title, message.arrived) == ("70 bytes", None)
    assert message.note == "lost on the way"


def test_an_unfinished_head_is_bytes():
    """With a note that says so."""
    (message,) = messages(captured((UP, GET[:-2])))
    assert (message.protocol, message.note) == ("bytes", "an unfinished message")


def test_what_does_not_parse_is_bytes_with_the_reason():
    """And what came before it is decoded."""
    found = messages(captured((UP, GET + b"\x00 garbage\r\n\r\n"), (DOWN, OK)))
    assert found[0].title == "GET /a"
    assert found[1].protocol == "bytes"
    assert found[1].note.startswith("this does not parse as HTTP/1.1: illegal")
    assert found[2].title == "200 OK"


def test_a_body_that_does_not_parse_says_why():
    """Not that it was cut off."""
    bad = CHUNKED.replace(b"\r\n2\r\n", b"\r\nzz\r\n")
    message = messages(captured((UP, GET), (DOWN, bad)))[1]
    assert not message.complete
    assert "does not parse" in message.note


@pytest.mark.parametrize("room", [0, 40, len(GET), len(GET) + 10])
def test_a_full_capture_says_what_it_had_no_room_for(room):
    """Each byte that crossed is in the size of one message."""
    capture = Capture(keep_bytes=room)
    chunks = [(UP, GET), (DOWN, OK[:30]), (DOWN, OK[30:]), (UP, GET), (DOWN, OK)]
    for second, (way, data) in enumerate(chunks):
        capture.record(Crossing(second, second, 1, way, Event.DATA, data, len(data)))
    found = messages(capture, protocol="HTTP/1.1")
    assert sum(m.size for m in found) == sum(len(data) for _, data in chunks)
    assert any("capture" in message.note for message in found)


def test_the_signs_of_tcp_are_messages_too():
    """Handshake, ends, resets and cuts, at their times."""
    capture = captured((UP, GET), end="cut")
    capture.record(Crossing(-0.1, 0.0, 1, UP, Event.OPEN))
    assert [m.title for m in decode(capture)] == [
        "TCP handshake",
        "GET /a",
        "cut by the link",
    ]


def test_a_long_capture_is_decoded_in_linear_time():
    """Ten thousand messages, each a small part of the stream, and none copied often."""
    capture = captured((UP, GET * 10_000), (DOWN, OK * 10_000))
    found = messages(capture)
    assert len(found) == 20_000
    assert all(message.complete for message in found)


def test_it_agrees_with_httpx_over_a_real_link():
    """Same requests, same bytes, times within the run, curl lines for its address."""
    with Hello() as server, Link(server, latency=0.005) as link:
        with httpx.Client(base_url=link.url) as client:
            for size in (0, 10, 100_000):
                assert client.post("/", content=bytes(size)).text == str(size)
        found = messages(link.capture, url=link.url)
        assert [m.title for m in found] == ["POST /", "200 OK"] * 3
        assert [len(m.body) for m in found[::2]] == [0, 10, 100_000]
        for message in found:
            assert message.arrived - message.sent >= 0.005
        for request, answer in zip(found[::2], found[1::2], strict=True):
            assert answer.sent >= request.arrived
        assert shlex.split(found[0].curl)[-1] == f"{link.url}/"
        assert sum(m.size for m in found) == (
            link.capture.bytes_to_server + link.capture.bytes_to_client
        )


# -- curl ----------------------------------------------------------------------------


def curl_of(request: bytes) -> list[str]:
    (message,) = messages(captured((UP, request)), url="http://127.0.0.1:80")
    return shlex.split(message.curl)


CURL_LINES = [
    (GET, ["http://127.0.0.1:80/a"]),
    (HEAD, ["-I", "http://127.0.0.1:80/a"]),
    (
        b'DELETE /a HTTP/1.1\r\nHost: x\r\nIf-Match: "it\'s"\r\n\r\n',
        ["-X", "DELETE", "-H", 'if-match: "it\'s"', "http://127.0.0.1:80/a"],
    ),
    (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 5\r\n\r\n@$x'\"",
        [
            *("-H", "content-type: text/plain", "--data-raw", "@$x'\""),
            "http://127.0.0.1:80/",
        ],
    ),
    (
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n\xff\n",
        [
            *("-X", "PUT", "-H", "content-type:", "--data-binary", "@FILE"),
            "http://127.0.0.1:80/",
        ],
    ),
    (
        b"GET /[a]/../b HTTP/1.1\r\nHost: x\r\nX-Empty:\r\n\r\n",
        [
            *("--globoff", "--path-as-is", "-H", "x-empty;"),
            "http://127.0.0.1:80/[a]/../b",
        ],
    ),
]


@pytest.mark.parametrize(("request_bytes", "words"), CURL_LINES)
def test_the_curl_line_says_the_same_to_a_shell(request_bytes, words):
    """Quoted for a shell; what curl would change or guess is spelled out."""
    line = curl_of(request_bytes)
    assert [word for word in line if word not in ("curl", "-i")] == words


# -- DNS -----------------------------------------------------------------------------

# With an id of its own choice it would be another test in each process.
QUERY = dns.message.make_query("example.org", "A", id=4660)


def answer(*addresses: str, flags: int = 0, rcode: int = dns.rcode.NOERROR) -> bytes:
    response = dns.message.make_response(QUERY)
    response.flags |= flags
    response.set_rcode(rcode)
    if addresses:
        rrset = dns.rrset.from_text("example.org.", 60, "IN", "A", *addresses)
        response.answer.append(rrset)
    return response.to_wire()


def udp(*data: bytes, keep_bytes: int = 10_000) -> Capture:
    capture = Capture("udp", keep_bytes=keep_bytes)
    for second, each in enumerate(data):
        way = (UP, DOWN)[second % 2]
        capture.record(
            Crossing(second, second + 0.5, 1, way, Event.DATA, each, len(each))
        )
    return capture


DNS_ANSWERS = [
    (answer("192.0.2.1"), "192.0.2.1"),
    (answer("192.0.2.1", "192.0.2.2"), "2 answers"),
    (answer(), "no data"),
    (answer(rcode=dns.rcode.NXDOMAIN), "NXDOMAIN"),
    (answer(flags=dns.flags.TC), "truncated (TC): ask again over TCP"),
]


@pytest.mark.parametrize(
    ("data", "title"), DNS_ANSWERS, ids=[title for _, title in DNS_ANSWERS]
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_dns_questions_and_answers(transport, data, title):
    """Over UDP a datagram each, over TCP with their length before them."""
    query = QUERY.to_wire()
    if transport == "udp":
        capture = udp(query, data)
    else:
        framed = [struct.pack("!H", len(wire)) + wire for wire in (query, data)]
        capture = captured((UP, framed[0][:7]), (UP, framed[0][7:]), (DOWN, framed[1]))
    question, reply = messages(capture, url="http://127.0.0.1:5353")
    assert (question.protocol, question.title) == ("DNS", "A? example.org.")
    assert (reply.protocol, reply.title) == ("DNS", title)
    tcp = ["+tcp"] if transport == "tcp" else []
    assert shlex.split(question.curl) == [
        *("dig", "@127.0.0.1", "-p", "5353", *tcp, "example.org.", "A")
    ]


def test_datagrams_that_are_no_dns_are_bytes():
    """And those that were lost, or had no room, say so."""
    capture = udp(b"abc", b"too long to be kept", keep_bytes=10)
    capture.record(Crossing(9.0, None, 1, UP, Event.DATA, b"gone", 4))
    assert [(m.title, m.note) for m in messages(capture)] == [
        ("3 bytes", ""),
        ("19 bytes", "the capture had no room for it"),
        ("4 bytes", "lost on the way"),
    ]


def test_a_compression_loop_is_bytes():
    """A name that points to itself (RFC 1035, section 4.1.4) hangs nobody."""
    header = struct.pack("!6H", 1, 0, 1, 0, 0, 0)
    (message,) = messages(udp(header + b"\xc0\x0c\0\1\0\1"))
    assert message.protocol == "bytes"


# -- anything ------------------------------------------------------------------------

PIECES = [GET, HEAD, POST, OK, CHUNKED, UPGRADE, SWITCH, UNTIL_END, GET[:9], b"\r\n"]
TO_WEBSOCKET = [each.replace(b"echo", b"websocket") for each in (UPGRADE, SWITCH)]
FRAMES = [b"\x81\x05hello", b"\x89\x80key!", b"\x01\x01a", b"\x88\x02\x03\xe8"]
STREAM = OK.replace(b"\r\n", b"\r\nContent-Type: text/event-stream\r\n", 1)
PIECES += [*TO_WEBSOCKET, *FRAMES, STREAM]
DNS_PIECES = [QUERY.to_wire(), DNS_ANSWERS[1][0], b"\0\x1d", b"\xc0\x0c"]
text = st.lists(st.sampled_from(PIECES + DNS_PIECES) | st.binary(max_size=40))
ways = st.sampled_from(list(Direction))
crossings = st.builds(
    lambda way, data, fate: (way, b"".join(data), fate),
    ways,
    text.filter(bool),
    st.sampled_from(["arrives"] * 6 + ["lost", "no room"]),
)


@given(
    st.lists(crossings, max_size=8),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from([None, "HTTP/1.1", "DNS", "bytes"]),
    st.sampled_from([Event.END, Event.RESET, Event.CUT, Event.OPEN]),
)
def test_any_bytes_in_any_chunks_are_shown_and_never_raise(
    chunks, transport, protocol, last
):
    """The sizes of the messages add up to what entered the link, in each direction."""
    capture = Capture(transport)
    sizes = dict.fromkeys(Direction, 0)
    for second, (way, data, fate) in enumerate(chunks):
        arrived = None if fate == "lost" else second + 0.5
        kept = data if fate == "arrives" else b""
        capture.record(Crossing(second, arrived, 1, way, Event.DATA, kept, len(data)))
        sizes[way] += len(data)
    capture.record(Crossing(99.0, 99.5, 1, DOWN, last))
    found = messages(capture, protocol=protocol)
    for way in Direction:
        assert sum(m.size for m in found if m.direction is way) == sizes[way]
    for message in found:
        assert message.arrived is None or message.arrived >= message.sent
        assert not message.complete or message.size == len(message.raw)
        assert message.curl is None or shlex.split(message.curl)


def test_a_protocol_that_it_does_not_know_is_an_error():
    """It says which it knows."""
    with pytest.raises(ValueError, match=r"protocol is one of .*'DNS'.*not 'SMTP'"):
        decode(Capture(), protocol="SMTP")
