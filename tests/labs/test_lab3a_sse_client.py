"""labs/lab3a-sse-client"""

import asyncio
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.network.event_stream import events
from helpers.server import running
from labs.checks import lab3a_client
from labs.checks.lab3a_client import CLIENT, draw_connections
from labs.checks.lab3a_hostile_stream import Connection
from labs.checks.lab3a_parser import PARSER
from labs.checks.lab3a_sse_client import check
from labs.solutions.lab3a_sse_client import EventStream, listen
from tests.labs.harness import LabProof, load
from tests.labs.lab3a_streams import ENDS, PIECES, feed

PROOF = LabProof("lab3a-sse-client")


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert running() == []
    assert "lab check_0" not in {thread.name for thread in threading.enumerate()}


def test_the_lab_is_large_enough():
    """Requirements, wrong submissions, and none of the former without the latter."""
    PROOF.assert_enough()


@pytest.mark.parametrize("lab", PROOF.labs, ids=lambda lab: lab.title)
def test_the_stub_passes_nothing(lab):
    """As the notebook comes, nothing of either part is met, and that is said."""
    report = lab.check(PROOF.given(lab))
    assert report.met == []
    assert "not written yet" in repr(report)


def test_the_first_stub_is_soon_told():
    """It does not wait for each requirement's time-out."""
    PROOF.assert_stub_passes_nothing()


def test_the_solution_passes_everything():
    """Both parts, with the same text every time."""
    PROOF.assert_solution_passes()


@pytest.mark.parametrize("path", PROOF.wrong, ids=lambda path: path.stem)
def test_a_wrong_submission_is_caught(path, monkeypatch):
    """By the requirement that it names, and by nothing unrelated.

    The long silence is for those whom it catches.
    """
    if load(path).CAUGHT_BY != "quiet":
        monkeypatch.setattr(lab3a_client, "SILENCE", 0.1)
    PROOF.assert_caught(path)


def test_an_endless_loop_is_ended(monkeypatch):
    """It ends in a message, within the time limit of one requirement."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")

    class EndlessStream(EventStream):
        def feed(self, chunk):
            while True:
                pass

    PROOF.assert_ends(EndlessStream, "did not end within 1 s")


def test_a_hang_is_ended(monkeypatch):
    """It ends in a message, within the time limit of one requirement."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")

    async def listen(url, on_event):
        await asyncio.Event().wait()

    report = check(listen)
    assert "did not end within 1.5 s" in report.failed["hears"]
    assert set(report.failed) == {"hears"}


def test_a_cut_is_blamed_only_for_what_it_did():
    """Where the same bytes fail in one piece, too, that is what is told."""
    [path] = [path for path in PROOF.wrong if path.stem == "knows_no_cr"]
    told = check(load(path).EventStream).failed["split"]
    assert told.startswith("Not because of the cut: in one piece it fails as well.")
    assert "'LF, CR and CRLF end a line, and nothing else does'" in told
    assert "cut after" not in told


def test_the_table_says_at_which_chunk_it_raised():
    """What came until then is shown, and then the error's name."""

    class NeedsWholeLines(EventStream):
        def feed(self, chunk):
            if not chunk.endswith((b"\n", b"\r", b":")):
                raise ValueError("this is no line")
            return super().feed(chunk)

    report = check(NeedsWholeLines)
    assert "it raised ValueError: this is no line" in report.failed["split"]
    [verdict] = [v for v in report.verdicts if v.name == "split"]
    assert verdict.capture == [("'d'", "raised ValueError")]
    assert "raised ValueError" in repr(report)


@pytest.mark.parametrize(
    ("handed_in", "part"),
    [(EventStream, PARSER), (EventStream(), PARSER), (listen, CLIENT)],
    ids=["a class", "one of its streams", "a function"],
)
def test_one_check_for_both_parts(handed_in, part, monkeypatch):
    """A class, or one of its streams, is for part 1; all else for part 2."""
    called = []
    for lab in (PARSER, CLIENT):
        monkeypatch.setattr(lab, "check", lambda _, lab=lab: called.append(lab))
    check(handed_in)
    assert called == [part]


def test_a_stream_in_place_of_its_class():
    """Who hands in EventStream() is told what to hand in."""
    assert "Hand over your class EventStream(object) itself" in repr(
        check(EventStream())
    )


def test_the_picture_of_a_failed_run():
    """A bar for each connection, named by where it wanted to go on."""
    connections = [
        Connection(1, None, None, 10.0, 10.5, "cut"),
        Connection(2, "7", None, 11.0),
    ]
    facts = draw_connections(connections, "The connections").facts
    assert re.fullmatch("cut.* 0 to 0.5 s", facts["1, after nothing"])
    assert facts["2, after 7"] == "1 s"
    assert draw_connections([], "nothing") is None


# -- the solution's parser ------------------------------------------------------------

WORDS = st.tuples(st.sampled_from(PIECES), st.sampled_from(ENDS)).map(b"".join)
BODIES = st.lists(WORDS, max_size=20).map(b"".join)


@given(BODIES, st.data())
def test_where_a_stream_is_cut_does_not_matter(body, data):
    """Whole, in pieces of any size, and byte by byte, it is the same."""
    places = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=8)))
    bounds = list(zip([0, *places], [*places, len(body)], strict=True))
    whole = feed([body])
    assert feed([body[begin:end] for begin, end in bounds]) == whole
    assert feed([body[at : at + 1] for at in range(len(body))]) == whole


@given(BODIES)
def test_the_ladder_reads_the_same_events(body):
    """helpers/network/event_stream.py reads whole bodies, written apart from this."""
    seen = [
        part.content.decode() for part in events(body, True) if part.kind == "event"
    ]
    assert [data for _, data, _ in feed([body])[0]] == seen


@given(BODIES)
def test_no_byte_is_given_twice(body):
    """A stream after the first half goes on as if there had been no pause."""
    half = len(body) // 2
    stream = EventStream()
    first = stream.feed(body[:half])
    assert stream.feed(b"") == []
    assert first + stream.feed(body[half:]) == feed([body])[0]


OTHERS = '''
import asyncio
import aiohttp


class EventStream:
    """By bytes, and with a state for each byte; nothing of the solution's shape."""

    def __init__(self, last_event_id=""):
        self.last_event_id, self.retry = last_event_id, None
        self.line, self.block, self.bytes_seen, self.cr = bytearray(), [], 0, False
        self.id = last_event_id

    def feed(self, chunk):
        for byte in chunk:
            if byte == 10 and self.cr:
                self.cr = False
                continue
            self.cr = byte == 13
            if byte not in (10, 13):
                self.line.append(byte)
                continue
            line, self.line = bytes(self.line), bytearray()
            if not self.bytes_seen:
                line = line.removeprefix(b"\\xef\\xbb\\xbf")
            self.bytes_seen += 1
            if line:
                self.block.append(line.decode("utf-8", "replace"))
            else:
                yield from self.end()

    def end(self):
        kind, data, block, self.block = "", [], self.block, []
        for line in block:
            name, _, value = line.partition(":")
            value = value[1:] if value[:1] == " " else value
            if name == "data":
                data.append(value)
            if name == "event":
                kind = value
            if name == "id" and "\\0" not in value:
                self.last_event_id = value
            if name == "retry" and value and set(value) <= set("0123456789"):
                self.retry = int(value) / 1000
        if data:
            yield kind or "message", "\\n".join(data), self.last_event_id


async def listen(url, on_event):
    id, pause = "", 0.5
    clock = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with aiohttp.ClientSession(timeout=clock) as session:
        while True:
            stream = EventStream(id)
            headers = {"Accept": "text/event-stream"} | (
                {"Last-Event-ID": id} if id else {}
            )
            try:
                async with session.get(url, headers=headers) as response:
                    if response.status == 204:
                        return
                    response.raise_for_status()
                    if response.content_type.lower() != "text/event-stream":
                        raise ValueError(response.content_type)
                    async for chunk in response.content.iter_any():
                        for event in stream.feed(chunk):
                            on_event(event)
            except aiohttp.ClientResponseError:
                raise
            except (aiohttp.ClientError, ConnectionError):
                pass
            id = stream.last_event_id
            pause = pause if stream.retry is None else stream.retry
            await asyncio.sleep(pause)
'''


def test_other_shapes_pass(monkeypatch):
    """A generator over bytes, and aiohttp: what it does is judged, not how it looks."""
    monkeypatch.setattr(lab3a_client, "SILENCE", 0.1)
    names: dict = {"__name__": "another"}
    exec(OTHERS, names)
    for work in ("EventStream", "listen"):
        report = check(names[work])
        assert report, f"\n{report}"
