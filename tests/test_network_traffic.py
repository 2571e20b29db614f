"""helpers/network/traffic.py: what each kind of message cost on the wire."""

from __future__ import annotations

from helpers.network.capture import Capture
from helpers.network.traffic import Traffic, traffic
from tests.test_network_decode import DOWN, GET, OK, POST, UP, captured
from tests.test_network_streamed_body import BEAT, CHUNKED, GOAL, LAST, chunk
from tests.test_network_websocket import (
    ASK,
    CONT,
    PING,
    PLAIN,
    TEXT,
    wire,
)


def rows(capture: Capture) -> dict[tuple, Traffic]:
    return {(row.direction, row.what): row for row in traffic(capture)}


def test_requests_and_responses():
    """Heads and bodies cross."""
    found = rows(captured((UP, GET + POST), (DOWN, OK + OK)))
    asked, answered = found[UP, "requests"], found[DOWN, "responses"]
    assert (asked.count, asked.wire_bytes) == (2, len(GET + POST))
    assert (answered.count, answered.wire_bytes) == (2, 2 * len(OK))


def test_events_cost_apart_from_what_surrounds_them():
    """The head of the stream, its heartbeats and its end are not of an event."""
    stream = CHUNKED + chunk(GOAL, GOAL, BEAT) + LAST
    found = rows(captured((UP, GET), (DOWN, stream)))
    events = found[DOWN, "events"]
    assert (events.count, events.wire_bytes) == (2, 2 * len(chunk(GOAL)))
    assert found[DOWN, "comments"].wire_bytes == len(chunk(BEAT))
    assert found[DOWN, "responses"].wire_bytes == len(CHUNKED)
    assert found[DOWN, "others"].wire_bytes == len(LAST)


def test_a_message_in_fragments_is_one():
    """All its frames cross for it; control frames are no messages."""
    down = wire(TEXT, b"a", fin=False) + wire(PING, b"") + wire(CONT, b"b")
    up = wire(TEXT, b"hello", mask=True)
    found = rows(captured((UP, ASK), (DOWN, PLAIN + down), (UP, up)))
    assert found[DOWN, "messages"].count == 1
    assert found[DOWN, "messages"].wire_bytes == 6
    assert found[DOWN, "control frames"].wire_bytes == 2
    assert found[UP, "messages"].wire_bytes == 6 + 5  # header and masking key


def test_every_byte_is_in_one_row():
    """The rows of a direction add up to what the capture counted."""
    stream = CHUNKED + chunk(GOAL, BEAT)[:-9]
    capture = captured((UP, GET), (DOWN, stream), (UP, b"\0nonsense"))
    for way, size in ((UP, capture.bytes_to_server), (DOWN, capture.bytes_to_client)):
        found = [row for row in traffic(capture) if row.direction is way]
        assert sum(row.wire_bytes for row in found) == size


def test_nothing_costs_nothing():
    """And has no rows."""
    assert traffic(Capture()) == []
