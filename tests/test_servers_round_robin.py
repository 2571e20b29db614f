"""helpers.servers.round_robin"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from helpers.network import Link
from helpers.server import HTTPServer
from helpers.servers.backplane import InKernelBackplane
from helpers.servers.chat import ChatServer
from helpers.servers.round_robin import RoundRobin
from tests.chat_client import Client, chat
from tests.peers import PATIENCE, echo, serving


class Named(HTTPServer):
    """Answers with its name."""

    def routes(self) -> list[web.RouteDef]:
        async def tell(_: web.Request) -> web.Response:
            return web.Response(text=self.name)

        return [web.get("/", tell)]


@pytest.fixture
def servers() -> Iterator[list[Named]]:
    with Named(name="a") as a, Named(name="b") as b, Named(name="c") as c:
        yield [a, b, c]


def ask(proxy: RoundRobin) -> str:
    return httpx.get(proxy.url, timeout=PATIENCE).text


@contextlib.contextmanager
def connect(proxy: RoundRobin) -> Iterator[socket.socket]:
    with socket.create_connection((proxy.host, proxy.port), PATIENCE) as client:
        yield client


def is_ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_each_connection_goes_to_the_next_server(servers):
    """And after the last one comes the first."""
    with RoundRobin(servers) as proxy:
        assert [ask(proxy) for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]
        assert proxy.taken == [2, 2, 2]
        assert proxy.requests == 6


def test_a_kept_connection_stays_with_its_server(servers):
    """The proxy counts connections, and knows nothing of requests."""
    with RoundRobin(servers) as proxy, httpx.Client(base_url=proxy.url) as client:
        assert [client.get("/").text for _ in range(4)] == ["a"] * 4
        assert proxy.taken == [1, 0, 0]


def test_a_dead_server_is_passed_over_and_found_again(servers):
    """By the connections that come while it is dead, and after it."""
    with RoundRobin(servers) as proxy:
        servers[1].stop()
        assert [ask(proxy) for _ in range(4)] == ["a", "c", "a", "c"]
        servers[1].start()
        assert [ask(proxy) for _ in range(3)] == ["a", "b", "c"]
        assert proxy.taken == [3, 1, 3]


def test_a_server_that_takes_no_connection_is_passed_over(servers):
    """One whose machine is gone answers nothing at all, so there is a time-out."""
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):  # its queue is full with one or two: more hear nothing
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(silent.getsockname())
        targets = [silent.getsockname(), servers[0]]
        with RoundRobin(targets, connect_timeout=0.2) as proxy:
            assert [ask(proxy) for _ in range(2)] == ["a", "a"]
            assert proxy.taken == [0, 2]


def test_without_any_server_the_connection_is_closed(servers, wait_until):
    """The proxy lives on."""
    with RoundRobin(servers) as proxy:
        for server in servers:
            server.stop()
        with connect(proxy) as client:
            assert is_ended(client)
        wait_until(lambda: not proxy.connections)
        servers[2].start()
        assert ask(proxy) == "c"


def test_it_leads_to_addresses_too(servers):
    """So that servers of other kernels, and links, can stand behind it."""
    a, b, c = servers
    with Link(c) as link:
        with RoundRobin([a.url, (b.host, b.port), link]) as proxy:
            assert [ask(proxy) for _ in range(3)] == ["a", "b", "c"]


def test_all_bytes_pass_both_ways_at_once():
    """As they were, however large the pieces; and an end of one way is no end."""
    data = random.Random(1).randbytes(3_000_000)
    with serving(echo) as address, RoundRobin([address]) as proxy:
        with connect(proxy) as client:
            sender = threading.Thread(
                target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR))
            )
            sender.start()
            assert read_all(client) == data
            sender.join()


@pytest.mark.parametrize("side", ["client", "server"])
def test_when_one_side_breaks_off_the_other_is_cut(side, wait_until):
    """With nothing left in the proxy."""
    came = threading.Event()
    ended = threading.Event()

    def serve(peer: socket.socket) -> None:
        came.set()
        if side == "server":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif is_ended(peer):
            ended.set()

    with serving(serve) as address, RoundRobin([address]) as proxy:
        with connect(proxy) as client:
            assert came.wait(PATIENCE)
            if side == "server":
                assert is_ended(client)
        assert side == "server" or ended.wait(PATIENCE)
        wait_until(lambda: not proxy.connections)


def test_one_that_never_reads_does_not_grow_the_proxy():
    """The sender has to wait; what is under way is bounded."""
    sent = 0
    waits = threading.Event()

    def flood(peer: socket.socket) -> None:
        nonlocal sent
        peer.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while sent < 200_000_000:
                sent += peer.send(bytes(65536))
        waits.set()

    with serving(flood) as address, RoundRobin([address]) as proxy:
        with connect(proxy):
            assert waits.wait(PATIENCE)
            assert sent < 50_000_000  # most of it is in the kernel's buffers


def test_connections_are_bounded(wait_until):
    """One more is closed at once; when one has gone, the next gets in."""
    with serving(echo) as address, RoundRobin([address], max_connections=2) as proxy:
        with connect(proxy) as first:
            with connect(proxy) as second:
                for client in (first, second):
                    client.sendall(b"x")
                    assert client.recv(1) == b"x"
                with connect(proxy) as third:
                    assert is_ended(third)
            wait_until(lambda: proxy.connections == 1)
            with connect(proxy) as third:
                third.sendall(b"x")
                assert third.recv(1) == b"x"


def test_stop_cuts_all_connections():
    """At once, though both sides would go on; and a start begins with none."""
    with serving(echo) as address, RoundRobin([address]) as proxy:
        with connect(proxy) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            proxy.stop()
            assert is_ended(client)
            assert not proxy.connections and not proxy.errors
        proxy.start()
        with connect(proxy) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"


@pytest.mark.parametrize("servers", [[], ["beads"], [7]])
def test_what_is_no_server_is_refused(servers):
    """Before it starts."""
    with pytest.raises(ValueError, match="a server"):
        RoundRobin(servers)


# -- the lesson: what is stateful is hard to scale -------------------------------------


@contextlib.contextmanager
def two_chat_servers(**options: Any) -> Iterator[RoundRobin]:
    with ChatServer(**options) as a, ChatServer(**options) as b:
        with RoundRobin([a, b]) as proxy:
            yield proxy


def room(proxy: RoundRobin, stack: contextlib.ExitStack) -> list[Client]:
    """Four in one room, each of whom has come to know of all who came later."""
    return [
        stack.enter_context(chat(proxy, name)) for name in ("Ann", "Bo", "Cy", "Di")
    ]


def test_half_of_the_room_is_deaf():
    """Two of four are with the other server, which never heard of what Ann says."""
    with two_chat_servers() as proxy, contextlib.ExitStack() as stack:
        ann, bo, cy, di = room(proxy, stack)
        ann.send("message", text="is anybody there?")
        assert cy.receive_until("message")["name"] == "Ann"
        for deaf in (bo, di):
            deaf.send("history")
            answer = deaf.receive_until("history")
            assert (answer["members"], answer["history"]) == (["Bo", "Di"], [])


def test_a_backplane_heals_it():
    """The same proxy, the same clients: all hear her."""
    shared = InKernelBackplane()
    with two_chat_servers(backplane=shared) as proxy, contextlib.ExitStack() as stack:
        clients = room(proxy, stack)
        clients[0].send("message", text="is anybody there?")
        assert [each.receive_until("message")["name"] for each in clients] == [
            "Ann"
        ] * 4
