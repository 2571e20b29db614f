"""helpers/network/capture.py: what crossed a link, exactly counted and bounded."""

from __future__ import annotations

import threading

import pytest

from helpers.network.capture import Capture, Crossing, Direction, Event
from helpers.network.link import Link
from tests.peers import connect, echo, receive, serving

UP, DOWN = Direction.TO_SERVER, Direction.TO_CLIENT


def crossing(
    direction: Direction = UP,
    data: bytes = b"x",
    *,
    at: float = 0.0,
    connection: int = 1,
    lost: bool = False,
) -> Crossing:
    arrived = None if lost else at
    return Crossing(at, arrived, connection, direction, Event.DATA, data, len(data))


def opening(connection: int = 1) -> Crossing:
    return Crossing(0.0, 0.0, connection, UP, Event.OPEN)


def test_bytes_are_kept_up_to_a_bound_and_counted_beyond():
    """It says how much it dropped; the counters stay exact."""
    capture = Capture(keep_bytes=25)
    for _ in range(10):
        capture.record(crossing(data=b"0123456789"))
    assert capture.bytes_to_server == 100
    assert sum(len(c.data) for c in capture) == 20
    assert sum(c.size for c in capture) == 100
    assert capture.dropped_bytes == 80
    assert not capture.complete
    assert "no room for 80 of the bytes" in repr(capture)


def test_records_are_kept_up_to_a_bound_and_counted_beyond():
    """Also the connections and round trips of what was dropped."""
    capture = Capture(keep_records=3)
    for number in range(5):
        capture.record(opening(number))
        capture.record(crossing(UP, b"ask", connection=number))
        capture.record(crossing(DOWN, b"answer", connection=number))
    assert len(capture) == 3
    assert capture.dropped_records == 12
    assert capture.connections == 5
    assert capture.round_trips == 10
    assert capture.bytes_to_server == 15
    assert capture.bytes_to_client == 30
    assert not capture.complete


def test_what_the_link_did_not_copy_is_dropped_and_counted():
    """A record may come without its bytes, for want of room."""
    capture = Capture(keep_bytes=1)
    assert capture.room < 5
    capture.record(Crossing(0.0, 0.0, 1, UP, Event.DATA, b"", 5))
    assert capture.bytes_to_server == 5
    assert capture.dropped_bytes == 5


def test_what_is_lost_is_no_byte_that_arrived_and_none_that_was_dropped():
    """It has its own counter."""
    capture = Capture()
    capture.record(crossing(data=b"", lost=True)._replace(size=7))
    assert (capture.lost, capture.bytes_to_server, capture.dropped_bytes) == (1, 0, 0)
    assert capture.complete
    assert "1 lost" in repr(capture)


@pytest.mark.parametrize(
    ("words", "trips"),
    [
        ("", 0),
        ("u", 0),
        ("d", 0),
        ("ud", 1),
        ("du", 0),
        ("dud", 1),
        ("uuudd", 1),
        ("udud", 2),
        ("uduudddud", 3),
    ],
)
def test_a_round_trip_is_an_answer_to_what_the_client_said(words, trips):
    """However many chunks each is; what is pipelined shares one."""
    capture = Capture("udp")
    for word in words:
        capture.record(crossing(UP if word == "u" else DOWN))
    assert capture.round_trips == trips


def test_a_tcp_handshake_is_a_round_trip():
    """SYN and SYN-ACK; UDP has none."""
    for transport, trips in (("tcp", 1), ("udp", 0)):
        capture = Capture(transport)
        capture.record(opening())
        assert capture.round_trips == trips


def test_round_trips_of_connections_add_up():
    """What one client said is not answered on another connection."""
    capture = Capture("udp")
    capture.record(crossing(UP, connection=1))
    capture.record(crossing(DOWN, connection=2))
    assert capture.round_trips == 0
    capture.record(crossing(DOWN, connection=1))
    assert capture.round_trips == 1


def test_crossings_come_in_the_order_of_sending():
    """Of a chunk that was cut in two, the lost part comes last."""
    capture = Capture()
    lost = crossing(at=1.0, data=b"lost", lost=True)
    for each in (lost, crossing(at=2.0), crossing(at=1.0, data=b"through")):
        capture.record(each)
    assert [c.data for c in capture] == [b"through", b"lost", b"x"]


def test_duration_is_from_the_first_sent_to_the_last_arrived():
    """In seconds; what was lost does not count, and nothing is zero."""
    capture = Capture()
    assert capture.duration == 0.0
    capture.record(crossing(at=1.0)._replace(arrived=1.5))
    capture.record(crossing(at=2.0)._replace(arrived=4.0))
    capture.record(crossing(at=9.0, lost=True))
    assert capture.duration == 3.0


def test_clear_forgets_everything():
    """Counters, bytes and what was dropped."""
    capture = Capture(keep_bytes=5)
    for _ in range(3):
        capture.record(crossing(data=b"four"))
    capture.clear()
    assert (len(capture), capture.connections, capture.bytes_to_server) == (0, 0, 0)
    assert capture.complete
    capture.record(crossing(data=b"four"))
    assert [c.data for c in capture] == [b"four"]


def test_clear_between_two_experiments_on_one_connection():
    """The second counts only its own, on a connection that was open before."""
    with serving(echo) as target, Link(target) as link:
        with connect((link.host, link.port)) as client:
            client.sendall(b"before")
            receive(client, 6)
            link.capture.settle()
            link.capture.clear()
            client.sendall(b"after")
            receive(client, 5)
            assert link.capture.bytes_to_server == 5
            assert link.capture.round_trips == 1
            assert link.capture.connections == 1


def test_it_may_be_read_while_it_is_written():
    """From any thread, without an error and without a torn account."""
    capture, done = Capture(), threading.Event()

    def write() -> None:
        for number in range(20_000):
            capture.record(crossing(UP, b"ask", connection=number % 100))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert capture.bytes_to_server % 3 == 0
        assert capture.connections <= 100
        len(list(capture))
    writer.join()
    assert capture.bytes_to_server == 60_000
