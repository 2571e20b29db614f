"""helpers/network/websocket.py: the frames of both directions in a capture."""

from __future__ import annotations

import asyncio
import struct
import zlib
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode

from helpers.network.capture import Capture, Crossing, Event
from helpers.network.decode import Message, decode
from helpers.network.link import Link
from helpers.network.websocket import INFLATED_BYTES, deflates
from tests.test_network_decode import DOWN, UP, captured, messages

ASK = (
    b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
)
PLAIN = SWITCH + b"\r\n"
DEFLATE = SWITCH + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG


def wire(opcode: Opcode, data: bytes, *, mask: bool = False, **bits: bool) -> bytes:
    return Frame(opcode, data, **bits).serialize(mask=mask)


def frames(up: bytes = b"", down: bytes = b"", answer: bytes = PLAIN, end: str = ""):
    """The WebSocket part of a connection on which this was said after its upgrade."""
    capture = captured(
        *((way, data) for way, data in ((UP, ASK), (DOWN, answer)) if data),
        *((way, data) for way, data in ((UP, up), (DOWN, down)) if data),
        end=end,
    )
    return messages(capture)[2:]


def only(up: bytes = b"", down: bytes = b"", **options) -> Message:
    (message,) = frames(up, down, **options)
    return message


# -- single frames ---------------------------------------------------------------------


def test_a_text_of_the_client():
    """Unmasked in its body, masked in its raw bytes, its header told field by field."""
    raw = wire(TEXT, b"goal", mask=True)
    message = only(up=raw)
    assert (message.protocol, message.kind) == ("WebSocket", "TEXT")
    assert (message.title, message.body, message.raw) == ("TEXT 'goal'", b"goal", raw)
    assert dict(message.headers) == {
        "FIN": "1",
        "RSV1": "0",
        "opcode": "0x1 TEXT",
        "MASK": "1",
        "payload length": "4",
        "masking key": raw[2:6].hex(" "),
    }
    assert message.complete and not message.note


TITLES = [
    (TEXT, b"", "TEXT ''"),
    (TEXT, b"x" * 100, f"TEXT '{'x' * 60}'…"),
    (TEXT, "Tor für\n".encode(), r"TEXT 'Tor für\n'"),
    (BINARY, b"\x00\xff", "BINARY 00 ff"),
    (BINARY, bytes(9), "BINARY 00 00 00 00 00 00 00 00…"),
    (PING, b"", "PING"),
    (PONG, b"\x01\x02", "PONG 01 02"),
    (CLOSE, b"", "CLOSE without a code"),
    (CLOSE, Close(1000, "").serialize(), "CLOSE 1000"),
    (CLOSE, Close(1009, "too big").serialize(), "CLOSE 1009 too big"),
]


@pytest.mark.parametrize(("opcode", "data", "title"), TITLES)
def test_the_title_says_what_a_frame_is(opcode, data, title):
    """Opcode, and the beginning of what it carries; a close its code and reason."""
    message = only(down=wire(opcode, data))
    assert (message.title, message.note) == (title, "")


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("mask", [False, True])
def test_each_way_to_write_a_length(size, mask):
    """In 7, 16 and 64 bits (RFC 6455, section 5.2)."""
    payload = bytes(range(256)) * (size // 256 + 1)
    raw = wire(BINARY, payload[:size], mask=mask)
    message = only(**{"up" if mask else "down": raw})
    assert (message.body, message.raw) == (payload[:size], raw)
    assert message.size == len(raw)


def test_frames_in_one_chunk_with_the_handshake():
    """What a server sends right behind its 101 is a frame already."""
    capture = captured((UP, ASK), (DOWN, PLAIN + wire(TEXT, b"hi") + wire(PING, b"")))
    assert [m.title for m in messages(capture)] == [
        *("GET /chat", "101 Switching Protocols", "TEXT 'hi'", "PING")
    ]
    assert messages(capture)[1].raw == PLAIN


def test_the_client_does_not_wait_for_the_101():
    """Its bytes behind the request are frames, whatever they look like to HTTP."""
    early = wire(TEXT, b"a", mask=True) + wire(TEXT, b"b", mask=True, fin=False)
    found = messages(captured((UP, ASK + early), (DOWN, PLAIN)))
    titles = [m.title for m in found if m.protocol == "WebSocket"]
    assert titles == ["TEXT 'a'", "TEXT 'b', FIN 0"]


def test_without_a_101_there_are_no_frames():
    """A refusal leaves the connection to HTTP."""
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    capture = captured((UP, ASK), (DOWN, refused))
    assert [m.title for m in messages(capture)] == ["GET /chat", "403 Forbidden"]


# -- messages of several frames --------------------------------------------------------


def test_fragments_with_a_ping_between_them():
    """Each is a frame, and a control frame may come between (section 5.4)."""
    found = frames(
        down=wire(TEXT, b"Hel", fin=False)
        + wire(PING, b"")
        + wire(CONT, b"lo ", fin=False)
        + wire(CONT, b"world")
        + wire(TEXT, b"next")
    )
    assert [(m.title, m.note) for m in found] == [
        ("TEXT 'Hel', FIN 0", "the first fragment"),
        ("PING", ""),
        ("CONT 'lo ', FIN 0", "one more fragment"),
        ("CONT 'world'", "the last of 3 fragments"),
        ("TEXT 'next'", ""),
    ]


def test_a_character_may_be_cut_between_fragments():
    """UTF-8 is checked over the message, not over each frame (section 5.6)."""
    euro = "€".encode()
    found = frames(down=wire(TEXT, euro[:1], fin=False) + wire(CONT, euro[1:]))
    assert [m.title for m in found] == ["TEXT '', FIN 0", "CONT '€'"]
    assert found[1].note == "the last of 2 fragments"


def test_binary_fragments_stay_binary():
    """A continuation is of the kind of its first frame."""
    found = frames(down=wire(BINARY, b"ab", fin=False) + wire(CONT, b"cd"))
    assert [m.title for m in found] == ["BINARY 61 62, FIN 0", "CONT 63 64"]


# -- compression -----------------------------------------------------------------------


def compressed(*texts: bytes, takeover: bool = True) -> list[bytes]:
    """The frames of a server that compresses, with or without context takeover."""
    deflate = PerMessageDeflate(True, not takeover, 15, 15)
    return [
        Frame(TEXT, text).serialize(mask=False, extensions=[deflate]) for text in texts
    ]


def test_compressed_messages_are_inflated():
    """The body is what an application gets, the size what crossed."""
    text = b"goal " * 100
    first, second = frames(down=b"".join(compressed(text, text)), answer=DEFLATE)
    assert first.body == second.body == text
    assert second.size < first.size < len(text)  # the second refers to the first
    assert dict(first.headers)["RSV1"] == "1"
    assert dict(first.headers)["inflated"] == "500 bytes"
    assert not first.note


def test_without_context_takeover_each_is_inflated_for_itself():
    """As the 101 says, for its own direction (RFC 7692, section 7.1.1)."""
    answer = DEFLATE.replace(b"deflate\r\n", b"deflate; server_no_context_takeover\r\n")
    assert deflates("permessage-deflate; server_no_context_takeover") == {
        UP: False,
        DOWN: True,
    }
    found = frames(
        down=b"".join(compressed(b"a" * 99, b"a" * 99, takeover=False)), answer=answer
    )
    assert [m.body for m in found] == [b"a" * 99] * 2
    assert found[0].size == found[1].size


@pytest.mark.parametrize("header", ["", "foo", "foo; bar=1", ";;", '"', "x-webkit"])
def test_no_compression_without_agreement(header):
    """Nor where the header is none that one can read."""
    assert deflates(header) is None


def test_what_does_not_inflate_is_shown_as_it_crossed():
    """With the reason; and so is what can only be read with it."""
    broken = wire(BINARY, b"\xff\xff\xff\xff")
    broken = bytes([broken[0] | 0x40]) + broken[1:]
    bad, after, plain = frames(
        down=broken + compressed(b"text")[0] + wire(TEXT, b"plain"), answer=DEFLATE
    )
    assert bad.body == b"\xff\xff\xff\xff"
    assert bad.note == "against RFC 7692: decompression failed"
    assert after.note.startswith("to inflate it takes an earlier message")
    assert (plain.title, plain.note) == ("TEXT 'plain'", "")


def test_a_bomb_is_not_inflated():
    """Little on the wire may be much in memory: there is a bound."""
    packer = zlib.compressobj(wbits=-15)
    data = packer.compress(bytes(INFLATED_BYTES + 1)) + packer.flush(zlib.Z_SYNC_FLUSH)
    bomb = wire(BINARY, data[:-4])
    message = only(down=bytes([bomb[0] | 0x40]) + bomb[1:], answer=DEFLATE)
    assert message.note == f"inflates beyond {INFLATED_BYTES:,} bytes"
    assert message.body == data[:-4]


# -- against the rules -----------------------------------------------------------------

LONG_PING = b"\x89\x7e\x00\x7e" + bytes(126)
FAULTS = [
    ({"up": wire(TEXT, b"hi")}, "not masked, as a client must"),
    ({"down": wire(TEXT, b"hi", mask=True)}, "masked, as a server must not"),
    ({"down": b"\xc1\x02hi"}, "against RFC 6455: reserved bits must be 0"),
    ({"down": b"\x09\x00"}, "against RFC 6455: fragmented control frame"),
    ({"down": LONG_PING}, "against RFC 6455: control frame too long"),
    ({"down": b"\x81\x02\xff\xfe"}, "no valid UTF-8: invalid start byte"),
    ({"down": b"\x80\x02hi"}, "no message to continue"),
    ({"down": b"\x88\x01x"}, "against RFC 6455: close frame too short"),
    ({"down": b"\x88\x02\x03\xed"}, "against RFC 6455: invalid status code"),
]


@pytest.mark.parametrize(("said", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_frame_against_the_rules_is_shown_with_its_fault(said, fault):
    """And what comes behind it too, for where it ends is known."""
    way, raw = next(iter(said.items()))
    broken, ping = frames(**{way: raw + wire(PING, b"", mask=way == "up")})
    assert broken.note == fault
    assert broken.raw == raw
    assert ping.title == "PING"


def test_a_message_within_a_message_and_after_the_end():
    """The order of frames is told where it breaks the rules."""
    found = frames(
        down=wire(TEXT, b"a", fin=False) + wire(TEXT, b"b") + wire(CLOSE, b"") * 2
    )
    assert [m.note for m in found] == [
        "the first fragment",
        "the message before it is not finished",
        "",
        "after CLOSE nothing is read any more",
    ]


def test_what_is_no_frame_is_bytes():
    """With the reason; from there on nothing is known."""
    ping, rest = frames(down=wire(PING, b"") + b"\x83\x00" + wire(PING, b""))
    assert ping.title == "PING"
    assert (rest.protocol, rest.size) == ("bytes", 4)
    assert rest.note == "this does not parse as WebSocket: invalid opcode"


# -- cut off ---------------------------------------------------------------------------

CUT = [("fin", "cut off"), ("cut", "cut off"), ("", "still under way:")]


@pytest.mark.parametrize(("end", "why"), CUT)
def test_a_frame_that_was_cut_off(end, why):
    """As much of its payload as came is shown, unmasked; and how much is missing."""
    raw = wire(TEXT, b"x" * 1000, mask=True)
    message = only(up=raw[:-300], end=end)
    assert not message.complete
    assert message.body == b"x" * 700
    assert message.note == f"{why} after 700 of 1,000 bytes of the payload"


def test_a_compressed_frame_that_was_cut_off():
    """What came of it is inflated as far as that goes."""
    text = bytes(range(256)) * 20
    (raw,) = compressed(text)
    message = only(down=raw[:-5], answer=DEFLATE, end="cut")
    assert not message.complete
    assert message.body and text.startswith(message.body)


def test_a_ping_that_was_cut_off():
    """It is not taken for a fragment: its FIN is set."""
    message = only(down=wire(PING, b"alive?")[:4], end="cut")
    assert message.note == "cut off after 2 of 6 bytes of the payload"
    assert dict(message.headers)["FIN"] == "1"


def test_a_broken_frame_that_was_cut_off():
    """Both are told, first how much is missing."""
    message = only(up=wire(TEXT, b"hello")[:-2], end="cut")
    assert message.note == (
        "cut off after 3 of 5 bytes of the payload; not masked, as a client must"
    )


def test_an_unfinished_header_is_bytes():
    """Of which nothing can be told yet."""
    message = only(down=wire(BINARY, bytes(300))[:3])
    assert (message.protocol, message.note) == ("bytes", "an unfinished frame")


def test_what_was_lost_belongs_to_its_frame():
    """It counts in its size, and the frame did not arrive."""
    raw = wire(TEXT, b"x" * 100)
    capture = captured((UP, ASK), (DOWN, PLAIN), (DOWN, raw[:50]), end="cut")
    capture.record(Crossing(4.0, None, 1, DOWN, Event.DATA, b"", 52))
    message = messages(capture)[-1]
    assert message.arrived is None
    assert message.size == len(raw)


# -- any bytes, any chunks -------------------------------------------------------------

UP_BYTES = (
    ASK
    + wire(TEXT, b"hello", mask=True)
    + wire(TEXT, "Müller ".encode(), mask=True, fin=False)
    + wire(PING, b"ab", mask=True)
    + wire(CONT, b"shoots", mask=True)
    + wire(CLOSE, Close(1000, "bye").serialize(), mask=True)
)
DOWN_BYTES = (
    DEFLATE
    + b"".join(compressed(b"welcome " * 9, b"welcome " * 9))
    + wire(BINARY, bytes(200))
    + wire(PONG, b"ab")
    + wire(CLOSE, Close(1000, "bye").serialize())
)
cuts = st.lists(st.integers(1, 700), max_size=12)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[a:b] for a, b in pairwise(at)]


def timeless(capture: Capture) -> list[Message]:
    """By direction, without their times; what is no message as bytes in a row."""
    found = [replace(m, sent=0.0, arrived=0.0) for m in messages(capture)]
    by_way = sorted(found, key=lambda message: message.direction)
    joined = []
    for (_, protocol), group in groupby(by_way, lambda m: (m.direction, m.protocol)):
        row = list(group)
        if protocol == "bytes":
            raw = b"".join(message.raw for message in row)
            row = [replace(row[0], title="", size=len(raw), raw=raw)]
        joined += row
    return joined


@given(cuts, cuts, st.integers(1, len(UP_BYTES)), st.integers(1, len(DOWN_BYTES)))
def test_splitting_never_changes_the_messages(up, down, keep_up, keep_down):
    """Wherever the chunks end, and wherever the line was cut."""
    said = [(UP, UP_BYTES[:keep_up]), (DOWN, DOWN_BYTES[:keep_down])]
    whole = captured(*said, end="cut")
    chunks = [
        (way, piece)
        for (way, data), at in zip(said, (up, down), strict=True)
        for piece in split(data, at)
    ]
    assert timeless(captured(*chunks, end="cut")) == timeless(whole)


@given(
    st.lists(
        st.sampled_from(
            [DOWN_BYTES[len(DEFLATE) :][:40], LONG_PING, b"\xc1\x04", b"\x41"]
        )
        | st.binary(max_size=30)
    ),
    st.sampled_from([PLAIN, DEFLATE]),
    st.booleans(),
)
def test_no_bytes_raise_and_each_is_accounted_for(pieces, answer, to_server):
    """Hostile frames are shown with what is wrong, and no byte is left out."""
    data = b"".join(pieces)
    found = frames(**{"up" if to_server else "down": data}, answer=answer)
    assert sum(m.size for m in found) == len(data)
    assert b"".join(m.raw for m in found) == data


def test_a_message_within_a_compressed_one_without_takeover():
    """The library lets go of its inflater there; that is told, and does not raise."""
    first, second = compressed(b"one" * 9, b"two" * 9, takeover=False)
    open_ended = bytes([first[0] & 0x7F]) + first[1:]
    answer = DEFLATE.replace(b"deflate\r\n", b"deflate; server_no_context_takeover\r\n")
    found = frames(down=open_ended + second + b"\x80\x01x", answer=answer)
    assert "no message to continue" in found[-1].note


def test_the_length_of_a_giant_is_no_reason_to_wait():
    """A header may promise more than there is memory."""
    message = only(down=b"\x82\x7f" + struct.pack("!Q", 2**63 - 1) + b"abc")
    assert message.body == b"abc"
    assert "after 3 of 9,223,372,036,854,775,807 bytes" in message.note


# -- the real thing --------------------------------------------------------------------


async def converse(connection: ServerConnection) -> None:
    async for message in connection:
        if message == "in pieces":
            await connection.send(["Hel", "lo ", "wörld"])
        else:
            await connection.send(message)


async def talk(compression: str | None) -> Link:
    """A conversation of the library's client with its server, over a link."""
    async with serve(converse, "127.0.0.1", 0, compression=compression) as server:
        port = server.sockets[0].getsockname()[1]
        with Link(f"http://127.0.0.1:{port}", latency=0.002) as link:
            uri = link.url.replace("http", "ws")
            async with connect(uri, compression=compression, proxy=None) as client:
                for said in ("goal", "goal", "in pieces", b"\x00\xff" * 35_000):
                    await client.send(said)
                    await client.recv()
                await (await client.ping(b"alive?"))
                await client.close(1000, "bye")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            return link


@pytest.mark.parametrize("compression", ["deflate", None])
def test_it_agrees_with_the_library_over_a_real_link(compression):
    """Everything that either said, in order, and every byte once."""
    capture = asyncio.run(talk(compression)).capture
    found = [m for m in decode(capture) if m.protocol == "WebSocket"]
    assert not [m for m in messages(capture) if m.protocol == "bytes"]
    by_way = {way: [m for m in found if m.direction is way] for way in (UP, DOWN)}
    assert [m.kind for m in by_way[UP]] == [
        *("TEXT", "TEXT", "TEXT", "BINARY", "PING", "CLOSE")
    ]
    assert [m.title for m in found if m.kind == "CLOSE"] == ["CLOSE 1000 bye"] * 2
    assert by_way[UP][3].body == by_way[DOWN][-3].body == b"\x00\xff" * 35_000
    assert by_way[UP][4].body == by_way[DOWN][-2].body == b"alive?"
    pieces = [m.body for m in by_way[DOWN][2:-3]]
    assert b"".join(pieces) == "Hello wörld".encode()
    assert sum(m.size for m in messages(capture)) == (
        capture.bytes_to_server + capture.bytes_to_client
    )
    for message in found:
        assert message.arrived - message.sent >= 0.002
