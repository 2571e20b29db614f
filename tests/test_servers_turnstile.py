"""helpers.servers.turnstile"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from helpers.servers.turnstile import HELLO, Turnstile
from tests.peers import PATIENCE


@contextlib.contextmanager
def connect(server: Turnstile) -> Iterator[socket.socket]:
    with socket.create_connection((server.host, server.port), PATIENCE) as client:
        yield client


def greeting(client: socket.socket) -> bytes:
    return client.recv(64)


def is_cut(client: socket.socket) -> bool:
    try:
        return client.recv(64) == b""
    except ConnectionError:
        return True


def restart(
    server: Turnstile, wait_until: Callable[..., None], down: str = "0"
) -> None:
    """Returns once it listens again."""
    with connect(server) as client:
        assert greeting(client) == HELLO
        client.sendall(f"restart {down}\n".encode())
        assert is_cut(client)
    wait_until(lambda: server._listener is not None)


def test_a_warm_one_lets_in_all_who_come():
    """However low its rate is."""
    with Turnstile(rate=0.001) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(300)]
        assert {greeting(client) for client in clients} == {HELLO}
        assert server.clients == server.requests == 300


def test_after_a_restart_it_lets_in_so_many_a_second(wait_until):
    """One after the other; it may be slower on a busy machine, and never faster."""
    with Turnstile(rate=20) as server, contextlib.ExitStack() as stack:
        restart(server, wait_until)
        began = time.monotonic()
        clients = [stack.enter_context(connect(server)) for _ in range(11)]
        assert {greeting(client) for client in clients} == {HELLO}
        # The first may come in at once: a place for it was saved.
        assert time.monotonic() - began > 9 / 20


def test_the_queue_is_bounded(wait_until):
    """Who finds no place in it hears nothing; the kernel's count is a little off."""
    with Turnstile(rate=0.001, backlog=4) as server, contextlib.ExitStack() as stack:
        restart(server, wait_until)
        connected = 0
        for _ in range(20):
            client = stack.enter_context(socket.socket())
            client.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                client.connect((server.host, server.port))
                connected += 1
        assert 0 < connected < 12
        assert server.clients == 0


def test_a_restart_cuts_all_and_comes_back_at_the_same_port(wait_until):
    """And it can be done again."""
    with Turnstile(rate=1000) as server:
        port = server.port
        for _ in range(2):
            with connect(server) as other:
                assert greeting(other) == HELLO
                restart(server, wait_until)
                assert is_cut(other)
            assert server.port == port and server.clients == 0


def test_who_leaves_is_out(wait_until):
    """Nothing is kept of one who is gone."""
    with Turnstile() as server:
        with connect(server) as client:
            assert greeting(client) == HELLO
            assert server.clients == 1
        wait_until(lambda: server.clients == 0)


def test_those_who_are_in_are_bounded(wait_until):
    """One more is cut."""
    with Turnstile(max_clients=1) as server:
        with connect(server) as first:
            assert greeting(first) == HELLO
            with connect(server) as second:
                assert is_cut(second)
        wait_until(lambda: server.clients == 0)
        with connect(server) as second:
            assert greeting(second) == HELLO


@pytest.mark.parametrize(
    "said", [b"restart\n", b"restart -1\n", b"restart 1e9\n", b"x"]
)
def test_what_it_does_not_know_it_ignores(said):
    """No bad word harms anybody."""
    with Turnstile() as server, connect(server) as client, connect(server) as other:
        assert greeting(client) == greeting(other) == HELLO
        client.sendall(said)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert server.running and server.clients == 2


def test_while_it_is_away_it_refuses_and_can_be_stopped():
    """It does not come back by itself, and starts warm."""
    with Turnstile(rate=0.001) as server:
        restart(server, lambda _: None, down="900")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port))
        server.stop()
        assert not server.errors
        server.start()
        for _ in range(3):
            with connect(server) as client:
                assert greeting(client) == HELLO


@pytest.mark.parametrize("wrong", ["rate", "backlog", "max_clients"])
def test_what_lets_nobody_in_is_refused(wrong):
    """A rate, a queue and a room of none."""
    with pytest.raises(ValueError, match=wrong):
        Turnstile(**{wrong: 0})
