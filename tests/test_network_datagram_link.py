"""helpers/network/datagram_link.py: the line between a client and a UDP server."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from helpers.network import datagram_link
from helpers.network.capture import Crossing, Direction
from helpers.network.datagram_link import DatagramLink
from tests.conftest import holds_within

PATIENCE = 30.0


@contextlib.contextmanager
def udp_echo(host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """A server that sends each datagram back; an empty one ends it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((host, 0))

        def serve() -> None:
            while True:
                data, address = server.recvfrom(65535)
                if not data:
                    return
                server.sendto(data, address)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[:2]
        finally:
            with socket.socket(family, socket.SOCK_DGRAM) as last:
                last.sendto(b"", server.getsockname())
            thread.join()


@contextlib.contextmanager
def client_of(link: DatagramLink) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in link.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect((link.host, link.port))
        yield client


def fates(count: int, **settings) -> list[tuple[bytes, ...]]:
    """What became of ``count`` datagrams on their way to the server, in order."""
    with udp_echo() as target, DatagramLink(target, **settings) as link:
        with client_of(link) as client:
            for number in range(count):
                client.send(b"%d" % number)
                # One at a time, so that the order is the link's doing.
                assert holds_within(lambda sent=number: link.requests > sent)

            def seen() -> list[Crossing]:
                return [c for c in link.capture if c.direction is Direction.TO_SERVER]

            assert holds_within(lambda: len({c.data for c in seen()}) == count)
    arrived = sorted((c for c in seen() if not c.lost), key=lambda c: c.arrived)
    return [c.data for c in arrived]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_pass_both_ways(host):
    """Over IPv4 and IPv6, up to the largest, and the empty one too."""
    with udp_echo(host) as target, DatagramLink(target, host=host) as link:
        with client_of(link) as client:
            for data in (b"hello", bytes(60_000)):
                client.send(data)
                assert client.recv(65535) == data


def test_clients_are_told_apart():
    """Each gets its own answers, as behind a NAT."""
    with udp_echo() as target, DatagramLink(target) as link:
        with client_of(link) as first, client_of(link) as second:
            first.send(b"first")
            second.send(b"second")
            assert second.recv(100) == b"second"
            assert first.recv(100) == b"first"
        assert link.capture.connections == 2


def test_latency_adds_both_ways():
    """Each datagram in the capture took at least the latency."""
    with udp_echo() as target, DatagramLink(target, latency=0.02) as link:
        with client_of(link) as client:
            client.send(b"x")
            client.recv(1)
        assert all(c.arrived - c.sent >= 0.02 for c in link.capture)
        assert link.capture.round_trips == 1


def test_loss_replays_from_its_seed():
    """The n-th datagram has the same fate again; another seed differs."""
    first = fates(60, loss=0.5, seed=1)
    assert fates(60, loss=0.5, seed=1) == first
    assert fates(60, loss=0.5, seed=2) != first
    assert 10 < len(first) < 50


def test_duplication_replays_from_its_seed():
    """All arrive, some twice, the same ones again."""
    first = fates(40, duplication=0.5, seed=1)
    assert fates(40, duplication=0.5, seed=1) == first
    assert len(set(first)) == 40
    assert 40 < len(first) < 80


def test_reordering_lets_later_ones_overtake():
    """All arrive, not in order; those that are late are late again."""
    settings = {"reordering": 0.3, "reorder_by": 0.2, "seed": 1}
    first = fates(20, **settings)
    in_order = sorted(first, key=int)
    assert set(first) == set(in_order)
    assert first != in_order
    assert fates(20, **settings) == first


def test_one_fault_does_not_shift_the_luck_of_another():
    """With duplication added, the same datagrams are lost."""
    alone = fates(40, loss=0.5, seed=5)
    both = fates(40, loss=0.5, duplication=0.5, seed=5)
    assert set(alone) == set(both)


def test_settings_change_while_it_runs(wait_until):
    """The next datagram meets the new line."""
    with udp_echo() as target, DatagramLink(target, loss=1.0) as link:
        with client_of(link) as client:
            client.send(b"lost")
            wait_until(lambda: link.capture.lost)
            link.loss = 0.0
            client.send(b"through")
            assert client.recv(100) == b"through"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": 1.5}, "loss is a probability from 0 to 1; not 1.5"),
        ({"duplication": -0.1}, "duplication is a probability"),
        ({"reordering": "often"}, "reordering is a probability"),
        ({"reorder_by": -1}, "reorder_by is in seconds"),
        ({"bandwidth": 0}, "bandwidth is above zero"),
    ],
)
def test_a_bad_setting_is_named(settings, message):
    """The error says which, what it may be, and what it was."""
    with pytest.raises(ValueError, match=message):
        DatagramLink(("127.0.0.1", 1), **settings)


def test_clients_are_bounded(monkeypatch):
    """The one that was silent for longest makes room."""
    monkeypatch.setattr(datagram_link, "MAX_CLIENTS", 3)
    with udp_echo() as target, DatagramLink(target) as link:
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                client = stack.enter_context(client_of(link))
                client.send(b"x")
                assert client.recv(1) == b"x"
            assert len(link._clients) == 3
            client.send(b"y")
            assert client.recv(1) == b"y"


def test_what_is_under_way_is_bounded(monkeypatch, wait_until):
    """A full queue drops, and the capture tells."""
    monkeypatch.setattr(datagram_link, "MAX_UNDER_WAY", 5)
    with udp_echo() as target, DatagramLink(target, latency=60) as link:
        with client_of(link) as client:
            for _ in range(20):
                client.send(b"x")
            wait_until(lambda: link.requests == 20)
            link.capture.settle()
            assert link.capture.lost == 15


def test_nobody_at_the_other_end_is_silence(wait_until):
    """No error reaches the client, and the link goes on."""
    with udp_echo() as target:
        pass
    with DatagramLink(target) as link, client_of(link) as client:
        for _ in range(3):
            client.send(b"x")
        wait_until(lambda: link.requests == 3)
        assert link.running


def test_it_leaves_nothing_behind():
    """The port is free again, and so is the thread."""
    with udp_echo() as target, DatagramLink(target) as link:
        port = link.port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))
    assert "link DatagramLink" not in [thread.name for thread in threading.enumerate()]


def test_the_card_counts_datagrams():
    """And its address is not one for HTTP."""
    with udp_echo() as target, DatagramLink(target) as link:
        with client_of(link) as client:
            client.send(b"x")
            client.recv(1)
        assert repr(link) == (
            f"<server DatagramLink, address udp 127.0.0.1:{link.port}, datagrams 1>"
        )
