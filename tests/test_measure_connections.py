"""helpers.measure.connections"""

from __future__ import annotations

import os
import socket
import sys

import psutil
import pytest

from helpers.measure.connections import (
    ACCEPT,
    IdleConnections,
    NoDescriptors,
    most_connections,
    room_for_descriptors,
)
from helpers.servers.lean import LeanServer
from helpers.servers.lean_protocol import Opcode, frame
from tests.peers import receive_until, serving

resource = pytest.importorskip("resource")
COUNT = 150  # more than one batch


@pytest.fixture
def server():
    with LeanServer() as server:
        yield server


def test_they_are_there_and_say_nothing(server, wait_until):
    """So many more at the server, each known to us by its descriptor alone."""
    with IdleConnections(server.port) as crowd:
        crowd.open(COUNT)
        crowd.open(1)
        assert len(crowd) == server.requests == server.connections == COUNT + 1
        assert len(set(crowd.descriptors)) == COUNT + 1
    wait_until(lambda: server.connections == 0)


def test_closing_gives_back_every_descriptor(server, wait_until):
    """Also when it is done twice."""
    before = psutil.Process().num_fds()
    crowd = IdleConnections(server.port)
    crowd.open(COUNT)
    crowd.close()
    crowd.close()
    assert len(crowd) == 0
    wait_until(lambda: server.connections == 0)  # those of the server are here too
    assert psutil.Process().num_fds() <= before


def test_a_sample_echoes_and_one_answers_a_ping(server):
    """What they are asked comes back to each that was asked."""
    with IdleConnections(server.port) as crowd:
        crowd.open(COUNT)
        assert crowd.echo(b"there?", range(0, COUNT, 10)) == 15
        assert crowd.ping() and crowd.ping(0)
        os.close(crowd.descriptors.pop())
        server.stop()
        assert not crowd.ping(0)
        assert crowd.echo(b"there?", [0, 1]) == 0


def test_each_hears_a_broadcast(server):
    """And the count is of those who got just that."""
    with IdleConnections(server.port) as crowd:
        crowd.open(COUNT)
        server.broadcast("kick-off")
        assert crowd.hear(b"kick-off") == COUNT
        server.broadcast("goal")
        assert crowd.hear(b"foul") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="others have one address")
def test_they_come_from_the_address_that_they_are_told():
    """So that one port can have more connections than an address has ports."""
    seen = []

    def answer(peer: socket.socket) -> None:
        seen.append(peer.getpeername()[0])
        receive_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: " + ACCEPT)
        peer.sendall(b"\r\n\r\n")
        peer.recv(1)

    with serving(answer) as (_, port):
        with IdleConnections(port, source="127.0.0.77") as crowd:
            crowd.open(2)
    assert seen == ["127.0.0.77"] * 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: another\r\n\r\n",
        b"",
        b"x" * 10_000,
    ],
)
def test_a_server_that_does_not_agree_is_named(answer):
    """And of those that were on their way none stays open."""

    def refuse(peer: socket.socket) -> None:
        receive_until(peer, b"\r\n\r\n")
        peer.sendall(answer)

    with serving(refuse) as (_, port):
        before = psutil.Process().num_fds()
        with IdleConnections(port) as crowd:
            with pytest.raises(ConnectionError):
                crowd.open(3)
            assert len(crowd) == 0
        assert psutil.Process().num_fds() <= before + 3  # the server's side


def test_a_server_that_says_nothing_is_not_waited_for_without_end():
    """TimeoutError after the patience."""
    with serving(lambda peer: peer.recv(1 << 16) and peer.recv(1)) as (_, port):
        with IdleConnections(port, patience=0.2) as crowd:
            with pytest.raises(TimeoutError):
                crowd.open(1)


def test_a_port_without_a_server_is_refused():
    """By what the system says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with IdleConnections(port) as crowd, pytest.raises(ConnectionRefusedError):
        crowd.open(1)


def test_room_is_made_up_to_the_hard_limit_and_given_back():
    """The soft limit is what stops a process; the hard one what it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = psutil.Process().num_fds() + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        with room_for_descriptors(300):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > low
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == low
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_than_the_hard_limit_is_refused_with_the_cure():
    """Before anything is opened."""
    with pytest.raises(NoDescriptors, match="ulimit -Hn"):
        with room_for_descriptors(1 << 40):
            pass


def test_as_many_as_fit_fit():
    """What most_connections() says, room_for_descriptors() grants."""
    most = most_connections()
    assert most > 0
    with room_for_descriptors(min(most, 1 << 20) - 5):
        pass


def test_the_constant_answer_is_the_right_one(server):
    """A server that computes it comes to the same."""
    with IdleConnections(server.port) as crowd:
        crowd.open(1)  # it compares
        os.write(crowd.descriptors[0], b"\x89\x80" + bytes(4))
        assert os.read(crowd.descriptors[0], 2) == frame(Opcode.PONG)
