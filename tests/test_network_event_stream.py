"""helpers/network/event_stream.py: the parts of a stream of server-sent events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.network.event_stream import events
from helpers.network.part import Part


def parts(body: bytes, *, ended: bool = False) -> list[Part]:
    return list(events(body, ended))


def test_an_event_with_all_its_fields():
    """Its title names them, its content is the data, its fields are as they came."""
    (part,) = parts(b'id: 7\nevent: goal\nretry: 500\ndata: {"home": 1}\n\n')
    assert part.kind == "event"
    assert part.title == 'event goal, id 7, retry 500: {"home": 1}'
    assert part.content == b'{"home": 1}'
    assert part.fields[:2] == (("id", "7"), ("event", "goal"))
    assert part.complete and not part.note


PARTS = [
    (b"data: x\n\n", "event", "event: x"),
    (b"data:x\n\n", "event", "event: x"),
    (b"data:  x\n\n", "event", "event:  x"),
    (b"data: a\ndata: b\n\n", "event", "event: a b"),
    (b"data\n\n", "event", "event: "),
    (b"id: 1\0\ndata: x\n\n", "event", "event: x"),
    (b"retry: 1s\ndata: x\n\n", "event", "event: x"),
    (b"event: a\nevent: b\ndata: x\n\n", "event", "event b: x"),
    (b": so\ndata: x\n\n", "comment", "comment so"),
    (b"data: x\n: so\n\n", "event", "event: x"),
    (b":\n\n", "comment", "comment"),
    (b": keep-alive\n\n", "comment", "comment keep-alive"),
    (b"retry: 2000\n\n", "retry", "retry 2000"),
    (b"id: 3\n\n", "id", "id 3"),
    (b"id: 3\nretry: 9\n\n", "retry", "id 3, retry 9"),
    (b"event: goal\n\n", "no event", "no event"),
    (b"\n", "blank line", "blank line"),
    (b"\xef\xbb\xbfdata: x\n\n", "event", "event: x"),
]


@pytest.mark.parametrize(("body", "kind", "title"), PARTS)
def test_the_kinds_of_parts(body, kind, title):
    """Of the first part of each body: what a client makes of it (WHATWG, 9.2.6)."""
    first = parts(body)[0]
    assert (first.kind, first.title) == (kind, title)


def test_several_lines_of_data_are_one_content():
    """With LF between them, whatever ended the lines."""
    (part,) = parts(b"data: a\r\ndata:\rdata: b\n\n")
    assert part.content == b"a\n\nb"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_line_end_counts(end):
    """LF, CR and CR LF; each part has its own bytes."""
    body = end.join([b"data: a", b"", b": c", b"", b"data: b", b"", b""])
    found = parts(body)
    assert [part.title for part in found] == ["event: a", "comment c", "event: b"]
    assert [part.end for part in found] == [
        len(end.join([b"data: a", b"", b""])),
        len(end.join([b"data: a", b"", b": c", b"", b""])),
        len(body),
    ]


def test_a_heartbeat_without_a_blank_line_does_not_wait_for_an_event():
    """A comment before an event is a part of its own: it may have come long before."""
    found = parts(b":\n:\ndata: x\n\n")
    assert [(part.kind, part.end) for part in found] == [
        *(("comment", 2), ("comment", 4), ("event", 13))
    ]


@pytest.mark.parametrize("rest", [b"d", b"data: x", b"data: x\n", b"id: 1\ndata: x\n"])
def test_an_event_that_is_not_whole(rest):
    """More may come; once the stream ended, a client drops it."""
    *_, part = parts(b"data: a\n\n" + rest)
    assert (part.kind, part.complete, part.note) == ("unfinished", False, "")
    *_, part = parts(b"data: a\n\n" + rest, ended=True)
    assert part.note == "no blank line ends it: a client drops it"


@given(
    st.lists(st.sampled_from([b"data: x", b":", b"id", b"\n", b"\r", b"\xff", b"\0"]))
)
def test_every_byte_is_in_one_part(pieces):
    """The parts end one after the other, and the last with the body."""
    body = b"".join(pieces)
    ends = [part.end for part in parts(body)]
    assert ends == sorted(set(ends))
    assert ends[-1:] == ([len(body)] if body else [])
