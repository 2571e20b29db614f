"""helpers/show/ladder_rows.py: what a ladder folds, and how that is drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.network.message import Message
from helpers.show.ladder import Ladder, ladder
from helpers.show.ladder_layout import lay_out
from helpers.show.ladder_rows import FIRST, LAST, LONGEST_RUN, Run, fold
from helpers.show.message_list import RUN_LINES, message_list
from tests.test_network_decode import captured
from tests.test_network_websocket import ASK, CLOSE, PING, PLAIN, TEXT, wire
from tests.test_show_ladder import DOWN, UP, message, svg_of


def frame(second: float, way=DOWN, kind="TEXT", connection=1, **fields) -> Message:
    defaults = {"protocol": "WebSocket", "title": f"{kind} {second:g}", "kind": kind}
    fields = defaults | fields
    return message(second, second + 0.5, way, connection=connection, **fields)


def burst(count: int, **fields) -> list[Message]:
    return [frame(number, **fields) for number in range(count)]


def unfolded(rows: list[Message]) -> list[Message]:
    return [
        each
        for row in rows
        for each in (row.messages if isinstance(row, Run) else [row])
    ]


def test_a_long_run_is_its_beginning_a_row_and_its_end():
    """The row counts what it hides, its bytes and how long it lasted."""
    rows = fold(burst(100))
    hidden = 100 - FIRST - LAST
    assert [isinstance(row, Run) for row in rows] == [
        *([False] * FIRST + [True] + [False] * LAST)
    ]
    run = rows[FIRST]
    assert (run.title, run.size) == (f"{hidden} × TEXT", 10 * hidden)
    assert (run.sent, run.arrived) == (FIRST, 99.5 - LAST)
    assert run.note == "within 93.5 s"


def test_a_short_run_is_shown():
    """Folding it would hide more than it saves."""
    assert fold(burst(LONGEST_RUN)) == burst(LONGEST_RUN)


def test_the_first_of_each_kind_is_shown():
    """A heartbeat among a hundred messages is what one looks for."""
    rows = fold([*burst(50), frame(50, kind="PING"), *burst(99)[51:]])
    assert [row.title for row in rows[FIRST:-LAST]] == [
        *("46 × TEXT", "PING 50", "46 × TEXT")
    ]


def test_each_way_of_each_connection_has_its_own_row():
    """So that a row is an arrow from one side to the other."""
    talk = [
        frame(number, UP if number % 2 else DOWN, connection=1 + number % 4 // 2)
        for number in range(80)
    ]
    runs = [row for row in fold(talk) if isinstance(row, Run)]
    assert {(run.connection, run.direction) for run in runs} == {
        (connection, way) for connection in (1, 2) for way in (UP, DOWN)
    }
    assert len(runs) == 4


REMARKABLE = [
    {"note": "no valid UTF-8"},
    {"complete": False},
    {"arrived": None},
    {"kind": "CLOSE"},
]


@pytest.mark.parametrize("fields", REMARKABLE)
def test_what_is_remarkable_is_not_folded(fields):
    """What was lost, broken or the end stands for itself."""
    talk = burst(100)
    talk[50] = replace(talk[50], **fields)
    assert talk[50] in fold(talk)


def test_requests_are_not_folded():
    """Each has its own answer."""
    talk = burst(100, protocol="HTTP/1.1", kind="")
    assert fold(talk) == talk


frames = st.builds(
    frame,
    st.integers(0, 50),
    st.sampled_from([UP, DOWN]),
    st.sampled_from(["TEXT", "PING", "CLOSE"]),
    st.integers(1, 3),
    protocol=st.sampled_from(["WebSocket", "WebSocket", "TCP"]),
)


@given(st.lists(frames, max_size=60))
def test_no_message_is_left_out(talk):
    """Each is in one row, the rows are in order, and can be laid out."""
    talk.sort(key=lambda message: message.sent)
    rows = fold(talk)
    by_identity = sorted(map(id, unfolded(rows)))
    assert by_identity == sorted(map(id, talk))
    assert [row.sent for row in rows] == sorted(row.sent for row in rows)
    for arrow in lay_out(rows).arrows:
        assert arrow.end >= arrow.start


# -- drawn -----------------------------------------------------------------------------


def test_a_hundred_frames_fit_on_a_screen():
    """With what came before and after them."""
    talk = b"".join(wire(TEXT, b"%d" % number) for number in range(100))
    capture = captured((UP, ASK), (DOWN, PLAIN), (DOWN, talk), (DOWN, wire(CLOSE, b"")))
    picture = ladder(capture)
    assert len(picture.messages) < 12
    assert picture.more == 0
    text = "".join(svg_of(picture).itertext())
    for words in ("TEXT '0'", "94 × TEXT", "TEXT '99'", "CLOSE", "GET /chat"):
        assert words in text and words in picture.text()


def test_what_is_beyond_the_last_row_is_counted_in_messages():
    """Also those that a row would have hidden."""
    picture = Ladder(burst(100), title="x", shown=3)
    assert picture.more == 97


def test_a_run_is_no_flight():
    """It tells how long it lasted, and not that a message took so long."""
    picture = Ladder(burst(100), title="x")
    (line,) = [line for line in picture.text().split("\n") if "94 × TEXT" in line]
    assert line.endswith("│")
    assert "within 93.5 s" in picture.text()
    assert "within 93.5 s" in "".join(svg_of(picture).itertext())


def test_the_messages_of_a_run_unfold():
    """A line for each, and at most so many."""
    html = message_list(fold(burst(50)))
    assert "TEXT 20" in html and "left out" not in html
    html = message_list(fold(burst(RUN_LINES + FIRST + LAST + 7)))
    assert "7 more messages left out here" in html


def test_a_masked_frame_shows_its_payload_and_its_bytes():
    """Its header field by field, the key in hex, and what the mask made of it."""
    raw = wire(TEXT, b"goal", mask=True) + wire(PING, b"", mask=True)
    html = ladder(captured((UP, ASK), (DOWN, PLAIN), (UP, raw))).html()
    assert f"masking key <b>{raw[2:6].hex(' ')}</b>" in html
    assert ">goal</pre>" in html
    assert raw[:10].hex(" ") in html


def test_hostile_payloads_stay_text():
    """No text of a frame becomes markup."""
    bad = b"<script>alert('x')</script>"
    picture = ladder(captured((UP, ASK), (DOWN, PLAIN + wire(TEXT, bad))))
    assert "<script" not in picture.html()
