"""helpers/network/streamed_body.py: events and lines as messages of a capture."""

from __future__ import annotations

import asyncio
import shlex

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from helpers.network.capture import Capture, Crossing, Event
from helpers.network.link import Link
from tests.test_network_decode import DOWN, GET, OK, UP, captured, messages
from tests.test_network_websocket import split, timeless

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
UNTIL_END = HEAD + b"\r\n"
LAST = b"0\r\n\r\n"
GOAL = b"id: 7\nevent: goal\ndata: 1:0\n\n"
BEAT = b": beat\n\n"


def chunk(*data: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in data)


def parts(*said: bytes, end: str = ""):
    """What came behind the head of the answer."""
    return messages(captured((UP, GET), *((DOWN, data) for data in said), end=end))[2:]


def test_each_event_is_a_message_with_its_chunk():
    """The head of the answer is one of its own; so is the last chunk."""
    said = [CHUNKED, chunk(GOAL), chunk(BEAT), LAST]
    found = messages(captured((UP, GET), *((DOWN, data) for data in said)))[1:]
    assert [(m.protocol, m.title) for m in found] == [
        ("HTTP/1.1", "200 OK"),
        ("SSE", "event goal, id 7: 1:0"),
        ("SSE", "comment beat"),
        ("HTTP/1.1", "last chunk"),
    ]
    assert [m.raw for m in found] == said
    assert found[1].body == b"1:0"
    assert all(m.complete and not m.note for m in found)


def test_an_event_arrives_with_its_last_byte():
    """Over several chunks and crossings: not with its first, nor with the next."""
    found = parts(
        CHUNKED + chunk(GOAL[:9]), chunk(GOAL[9:-1]), chunk(b"\n")[:4], b"\r\n"
    )
    (event,) = found
    assert (event.sent, event.arrived) == (1, 3.5)
    assert event.raw == chunk(GOAL[:9], GOAL[9:-1], b"\n")


def test_several_events_in_one_chunk():
    """The head of the chunk counts with the first, its end with the last."""
    first, second = parts(CHUNKED + chunk(GOAL + BEAT))
    assert first.raw == b"25\r\n" + GOAL
    assert second.raw == BEAT + b"\r\n"


@pytest.mark.parametrize("length", [b"", b"Content-Length: 37\r\n"])
def test_without_chunks(length):
    """A stream may last until its end, or have a length."""
    found = parts(HEAD + length + b"\r\n" + GOAL, BEAT, end="fin")
    assert [m.raw for m in found] == [GOAL, BEAT]


@pytest.mark.parametrize(
    ("end", "why"), [("cut", "cut off"), ("fin", "cut off"), ("", "still under way:")]
)
def test_an_event_that_was_cut_off(end, why):
    """It says how much of it came."""
    whole, part = parts(CHUNKED, chunk(GOAL), chunk(GOAL)[:-12], end=end)
    assert whole.complete
    assert (part.kind, part.complete) == ("unfinished", False)
    assert part.note == f"{why} after {len(chunk(GOAL)) - 12} bytes of it"


def test_an_event_without_its_blank_line_is_dropped():
    """When the stream ends in good order, no more of it will come."""
    part, last = parts(CHUNKED, chunk(GOAL[:-1]), LAST)
    assert part.note == "no blank line ends it: a client drops it"
    assert last.title == "last chunk"


def test_what_was_lost_belongs_to_its_event():
    """It counts in its size, and the event did not arrive."""
    capture = captured((UP, GET), (DOWN, CHUNKED + chunk(GOAL)[:-5]), end="cut")
    capture.record(Crossing(3.0, None, 1, DOWN, Event.DATA, b"", 5))
    event = messages(capture)[-1]
    assert (event.arrived, event.size) == (None, len(chunk(GOAL)))


def test_a_chunk_that_does_not_parse():
    """Its bytes are shown, with the reason; the events before it stand."""
    event, rest = parts(CHUNKED + chunk(GOAL) + b"zz\r\n")
    assert event.title == "event goal, id 7: 1:0"
    assert rest.protocol == "bytes"
    assert rest.note.startswith("this does not parse as HTTP/1.1")


def test_after_a_stream_the_connection_goes_on():
    """Its last chunk ends it, and the next answer is an answer again."""
    capture = captured(
        *((UP, GET), (DOWN, CHUNKED + chunk(GOAL) + LAST), (UP, GET), (DOWN, OK))
    )
    assert [m.title for m in messages(capture)][-2:] == ["GET /a", "200 OK"]
    assert messages(capture)[-1].body == b"hello"


def test_a_compressed_stream_stays_one_answer():
    """Its events are not to be seen."""
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    found = messages(captured((UP, GET), (DOWN, head + chunk(b"\x1f\x8b\n\n") + LAST)))
    assert [m.title for m in found] == ["GET /a", "200 OK"]
    assert found[1].body == b"\x1f\x8b\n\n"


def test_the_answer_to_head_has_no_events():
    """Only the head that a stream would have."""
    ask = GET.replace(b"GET", b"HEAD")
    assert len(messages(captured((UP, ask), (DOWN, CHUNKED)))) == 2


def test_curl_does_not_wait_for_the_end():
    """-N for what lasts, with what the client accepts: a proxy may ask for that."""
    ask = GET.replace(b"\r\n\r\n", b"\r\nAccept: text/event-stream\r\n\r\n")
    capture = captured((UP, ask), (DOWN, CHUNKED + LAST), (UP, ask), (DOWN, OK))
    lasting, short = (m.curl for m in messages(capture, url="http://x") if m.curl)
    assert shlex.split(lasting) == [
        *("curl", "-i", "-N", "-H", "accept: text/event-stream", "http://x/a")
    ]
    assert shlex.split(short) == ["curl", "-i", "http://x/a"]


def test_json_lines_are_messages_too():
    """One for each line."""
    head = CHUNKED.replace(b"text/event-stream", b"application/x-ndjson")
    found = parts(head, chunk(b'{"id": 1}\n', b'{"id": 2}\n'), LAST)
    assert [(m.protocol, m.title) for m in found] == [
        ("JSON lines", '{"id": 1}'),
        ("JSON lines", '{"id": 2}'),
        ("HTTP/1.1", "last chunk"),
    ]


# -- any bytes, any chunks -------------------------------------------------------------

STREAM = (
    CHUNKED
    + chunk(b"\xef\xbb\xbfretry: 2000\r\n\r", b"\n", GOAL + GOAL[:4], GOAL[4:], BEAT)
    + chunk(b"data: \xe2\x82", b"\xac\r\r", b":\n", b"data: never finished")
    + LAST
)


@given(st.lists(st.integers(1, len(STREAM)), max_size=12), st.integers(1, len(STREAM)))
def test_splitting_never_changes_the_messages(cuts, keep):
    """Wherever the crossings end, and wherever the line was cut."""
    whole = captured((UP, GET), (DOWN, STREAM[:keep]), end="cut")
    pieces = ((DOWN, piece) for piece in split(STREAM[:keep], cuts))
    assert timeless(captured((UP, GET), *pieces, end="cut")) == timeless(whole)


@given(
    st.lists(
        st.sampled_from([chunk(GOAL), chunk(BEAT), GOAL, LAST, b"5\r\n", b"\r"])
        | st.binary(max_size=20)
    ),
    st.sampled_from([CHUNKED, UNTIL_END, UNTIL_END.replace(b"event-stream", b"x")]),
    st.sampled_from(["fin", "cut", ""]),
    st.integers(0, 300),
)
def test_no_bytes_raise_and_each_is_accounted_for(pieces, head, end, room):
    """Hostile streams are shown, and no byte is left out, kept or not."""
    capture = Capture(keep_bytes=len(GET) + room)
    said = [(UP, GET), *((DOWN, data) for data in (head, *pieces) if data)]
    for crossing in captured(*said, end=end):
        capture.record(crossing)
    found = [m for m in messages(capture) if m.direction is DOWN]
    assert sum(m.size for m in found) == len(head + b"".join(pieces))


# -- the real thing --------------------------------------------------------------------


async def feed(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(b"retry: 2000\n\n")
    for number in range(20):
        await answer.write(b"id: %d\ndata: {}\n\n" % number)
        await asyncio.sleep(0.001)
    await answer.write(BEAT)
    return answer


async def listen() -> tuple[Capture, str]:
    """A client of httpx at a server of aiohttp, over a link."""
    app = web.Application()
    app.router.add_get("/events", feed)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        with Link(f"http://127.0.0.1:{port}", latency=0.002) as link:
            async with httpx.AsyncClient() as client:
                answer = await client.get(link.make_url("/events"))
            return link.capture, answer.text
    finally:
        await runner.cleanup()


def test_it_agrees_with_aiohttp_over_a_real_link():
    """Every event, in order, each later than the one before; and every byte once."""
    capture, text = asyncio.run(listen())
    found = messages(capture)
    stream = [m for m in found if m.protocol == "SSE"]
    assert [m.kind for m in stream] == ["retry", *["event"] * 20, "comment"]
    ids = [dict(m.headers)["id"] for m in stream if m.kind == "event"]
    assert ids == [str(number) for number in range(20)]
    assert text.count("data:") == 20
    arrivals = [m.arrived for m in stream]
    assert arrivals == sorted(arrivals) and arrivals[0] < arrivals[-1]
    assert all(m.arrived - m.sent >= 0.002 for m in stream)
    assert sum(m.size for m in found) == (
        capture.bytes_to_server + capture.bytes_to_client
    )
