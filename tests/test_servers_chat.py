"""helpers.servers.chat, with chat_connection and audience"""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
import tracemalloc

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from helpers.servers.backplane import InKernelBackplane, SubscriptionLost
from helpers.servers.chat import ChatServer
from tests.chat_client import Client, RawClient, chat, make_uri
from tests.conftest import TIME_UNIT
from tests.peers import connect as connect_tcp
from tests.peers import receive_all

# 8,000 bytes as UTF-8. A thousand are more than a socket takes (tcp_wmem: 4 MiB).
LONG = "𝄞" * 2000
MANY = 1000


@pytest.fixture
def server():
    with ChatServer() as server:
        yield server
        assert not server.errors


def numbers(messages) -> list[int]:
    return [message["number"] for message in messages]


def close_code(client: Client) -> int:
    """Read until the server closes; the code that it closed with."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            client.receive()
    return caught.value.rcvd.code


# -- rooms ---------------------------------------------------------------------------


def test_a_message_reaches_everybody_in_the_room_once(server):
    """Its sender too, with one number for all, and nobody in another room."""
    with chat(server, "Ann") as ann, chat(server, "Bo") as bo:
        with chat(server, "Cy", room="other") as cy:
            ann.receive_until("joined")
            ann.send("message", text="hello")
            heard = [client.receive() for client in (ann, bo)]
            assert heard[0] == heard[1]
            assert heard[0] | {"at": 0} == {
                "type": "message",
                "room": "lobby",
                "number": 3,
                "name": "Ann",
                "text": "hello",
                "at": 0,
            }
            assert cy.ask("history")["number"] == 1


def test_members_hear_who_comes_and_goes(server):
    """By joining, by leaving, and by a connection that just ends."""
    with chat(server, "Ann") as ann:
        with chat(server, "Bo") as bo, RawClient(server) as cy:
            assert ann.receive() | {"at": 0} == {
                "type": "joined",
                "room": "lobby",
                "number": 2,
                "name": "Bo",
                "at": 0,
            }
            cy.join("Cy")
            assert ann.receive()["name"] == "Cy"
            assert ann.ask("history")["members"] == ["Ann", "Bo", "Cy"]
            cy.socket.close()
            assert (left := ann.receive())["type"] == "left"
            assert left["name"] == "Cy"
            assert bo.receive_until("left")["name"] == "Cy"
            bo.send("leave")
            assert bo.receive()["name"] == "Bo"
            assert ann.receive()["name"] == "Bo"
        assert ann.ask("history")["members"] == ["Ann"]


def test_the_welcome_tells_members_and_the_last_messages():
    """So many as the backplane keeps, in order."""
    with ChatServer(backplane=InKernelBackplane(history_limit=3)) as server:
        with chat(server, "Ann") as ann, chat(server) as bo:
            for text in "abcde":
                ann.ask("message", text=text)
            welcome = bo.ask("join", room="lobby", name="Bo")
    assert welcome["members"] == ["Ann", "Bo"]
    assert [each["text"] for each in welcome["history"]] == ["c", "d", "e"]
    assert numbers(welcome["history"]) == [4, 5, 6]
    assert welcome["number"] == 7


def test_a_private_message_is_between_two(server):
    """One gets it, one is told that it went out, and the third sees no gap."""
    with chat(server, "Ann") as ann, chat(server, "Bo") as bo, chat(server, "Cy") as cy:
        bo.receive_until("joined")
        sent = cy.ask("private", to="bo", text="psst")
        assert (sent["type"], sent["to"]) == ("sent", "bo")
        private = bo.receive()
        assert (private["type"], private["name"]) == ("private", "Cy")
        assert (private["to"], private["text"], private["number"]) == ("Bo", "psst", 1)
        cy.send("message", text="for all")
        assert cy.receive()["number"] == 4
        assert numbers([ann.receive() for _ in range(3)]) == [2, 3, 4]
        assert cy.ask("history")["history"][0]["text"] == "for all"


def test_order_is_the_same_for_all(server):
    """Three talk at once, all three hear the same, without a gap."""
    count = 50
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(chat(server, name)) for name in "ABC"]
        for i in range(count):
            for client in clients:
                client.send("message", text=str(i))
        heard = [
            [client.receive_until("message") for _ in range(3 * count)]
            for client in clients
        ]
    assert heard[0] == heard[1] == heard[2]
    assert numbers(heard[0]) == list(range(4, 4 + 3 * count))
    for name in "ABC":
        said = [each["text"] for each in heard[0] if each["name"] == name]
        assert said == [str(i) for i in range(count)]


def test_a_hundred_in_one_room(server, wait_until):
    """All hear all that is said, in one order; and no trace of them stays."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(chat(server, f"n{i}")) for i in range(100)]
        for client in clients[::10]:
            client.send("message", text="hello")
        heard = {
            tuple(client.receive_until("message")["number"] for _ in range(10))
            for client in clients
        }
        assert heard == {tuple(range(101, 111))}
        assert server.connections == 100
    wait_until(lambda: not server._audiences, patience=20)


def test_one_connection_may_change_rooms_and_names(server, wait_until):
    """Out of one, into another; and the first is forgotten here."""
    with chat(server, "Ann") as ann:
        assert ann.ask("leave")["type"] == "left"
        welcome = ann.ask("join", room="other", name="Anna")
        assert (welcome["room"], welcome["members"]) == ("other", ["Anna"])
        assert list(server._audiences) == ["other"]
    wait_until(lambda: not server._audiences)


def test_a_restart_begins_anew(server):
    """Same address, but rooms of its own backplane are gone."""
    with chat(server, "Ann") as ann:
        ann.ask("message", text="hello")
    server.stop()
    server.start()
    with chat(server) as ann:
        welcome = ann.ask("join", room="lobby", name="Ann")
        assert (welcome["number"], welcome["history"]) == (1, [])


# -- bad input -----------------------------------------------------------------------


def test_bad_input_is_a_clear_error_and_the_connection_lives(server):
    """No JSON, no text, the wrong moment: each is answered, and then all goes on."""
    with chat(server) as ann:
        ann.websocket.send("hello")
        assert ann.receive()["code"] == "bad-json"
        ann.websocket.send(b"\xff")
        assert ann.receive()["code"] == "not-text"
        assert ann.ask("message", text="hi")["code"] == "not-now"
        assert ann.ask("join", room="lobby", name="A" * 33)["code"] == "too-long"
        assert ann.ask("join", room="lobby", name="Ann")["type"] == "welcome"
        assert ann.ask("join", room="lobby", name="Bo")["code"] == "not-now"
        assert ann.ask("private", to="Zoe", text="hi")["code"] == "nobody-there"
        assert ann.ask("message", text="hi")["type"] == "message"


def test_a_name_is_in_a_room_once(server):
    """Who comes second is told so, may take another, and the first does not notice."""
    with chat(server, "Ann") as ann, chat(server) as other:
        assert other.ask("join", room="lobby", name="ANN")["code"] == "name-taken"
        assert other.ask("join", room="other", name="ANN")["type"] == "welcome"
        assert other.ask("leave")["type"] == "left"
        assert other.ask("join", room="lobby", name="Bo")["type"] == "welcome"
        assert ann.receive()["name"] == "Bo"


def test_a_message_over_the_bound_closes_with_1009(server):
    """Message too big (RFC 6455, section 7.4.1), and the others go on."""
    with chat(server, "Ann") as ann, chat(server) as bo:
        bo.websocket.send("x" * (server.max_size + 1))
        assert close_code(bo) == 1009
        assert ann.ask("message", text="hi")["type"] == "message"


def test_the_longest_text_fits_however_it_is_escaped(server):
    """The bound on bytes lies above the bound on characters."""
    with chat(server, "Ann") as ann:
        escaped = "\\ud834\\udd1e" * 2000
        ann.websocket.send(f'{{"type": "message", "text": "{escaped}"}}')
        assert ann.receive()["text"] == LONG


def test_invalid_utf8_closes_with_1007(server):
    """Invalid payload data, in a text message; its room hears that it left."""
    with chat(server, "Ann") as ann, chat(server, "Bo") as bo:
        ann.receive_until("joined")
        bo.websocket.send(b"\xff\xfe", text=True)
        assert close_code(bo) == 1007
        assert ann.receive()["type"] == "left"


# -- who may connect, and the page ---------------------------------------------------


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://"])
def test_a_page_of_another_origin_is_refused(server, origin, wait_until):
    """403, before there is a WebSocket."""
    with (
        pytest.raises(InvalidStatus) as caught,
        connect(make_uri(server), origin=origin),
    ):
        pass
    assert caught.value.response.status_code == 403
    wait_until(lambda: server.connections == 0)


def test_the_own_page_is_welcome_also_behind_a_proxy(server):
    """Where Origin and Host agree; jupyter-server-proxy passes both on unchanged."""
    with chat(server, "Ann", origin=server.url):
        pass
    headers = {"Host": "hub.example.org"}
    request = (
        "GET /chat HTTP/1.1\r\nHost: hub.example.org\r\n"
        "Origin: https://hub.example.org\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with connect_tcp((server.host, server.port)) as client:
        client.sendall(request.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 101 ")
    assert httpx.get(server.url, headers=headers).status_code == 200


def test_allowed_origins_are_a_parameter():
    """Those of the list may connect, and nobody else's page."""
    with ChatServer(allowed_origins=["https://friend.example"]) as server:
        with chat(server, "Ann", origin="https://friend.example"):
            pass
        with pytest.raises(InvalidStatus), chat(server, origin=server.url):
            pass


def test_the_pages_are_there(server):
    """With their types; they load nothing from elsewhere and allow no inline script."""
    types = {"/": "text/html", "/chat.js": "text/javascript", "/chat.css": "text/css"}
    for _ in range(2):  # the second answer is like the first
        for path, content_type in types.items():
            answer = httpx.get(server.make_url(path))
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == f"{content_type}; charset=utf-8"
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'; script-src 'self'" in policy
            assert "://" not in answer.text
            assert len(answer.headers.get_list("Server")) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/x", 404), ("POST", "/", 405), ("GET", "/chat", 426)],
)
def test_what_is_not_there_is_said(server, method, path, status):
    """By the status that HTTP has for it."""
    assert httpx.request(method, server.make_url(path)).status_code == status


def test_two_hosts_are_a_bad_request(server):
    """There is no telling which one the Origin would have to match."""
    with connect_tcp((server.host, server.port)) as client:
        client.sendall(b"GET /chat HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert receive_all(client).startswith(b"HTTP/1.1 400 ")


# -- slow consumers ------------------------------------------------------------------


@contextlib.contextmanager
def talking(client: Client, count: int):
    """It says ``count`` long things on a thread, and reads what it hears."""

    def talk() -> None:
        for _ in range(count):
            client.ask("message", text=LONG)

    thread = threading.Thread(target=talk)
    thread.start()
    yield thread
    thread.join(60 * TIME_UNIT)
    assert not thread.is_alive()


def test_drop_costs_the_slow_one_messages_and_nobody_else():
    """The others hear all. The slow one sees by the numbers what it missed."""
    with ChatServer(when_full="drop", outbox_limit=10) as server:
        with RawClient(server) as slow, chat(server) as ann:
            slow.join("Slow")
            ann.ask("join", room="lobby", name="Ann")
            with talking(ann, MANY):
                pass
            assert server.waiting == 10
            last = ann.ask("history")["number"]
            got = []
            for message in slow.messages():
                got.append(message["number"])
                if got[-1] == last:
                    break
            assert len(got) < MANY
            assert got == sorted(set(got))
            assert got[-10:] == list(range(last - 9, last + 1))
            slow.send("history")
            assert next(slow.messages())["number"] == last


def test_disconnect_costs_the_slow_one_its_connection(wait_until):
    """The others hear that it left, and go on."""
    with ChatServer(when_full="disconnect", outbox_limit=10) as server:
        with RawClient(server) as slow, chat(server) as ann:
            slow.join("Slow")
            ann.ask("join", room="lobby", name="Ann")
            heard = []
            for _ in range(MANY):
                ann.send("message", text=LONG)
                while (message := ann.receive())["type"] != "message":
                    heard.append(message)
            wait_until(lambda: server.connections == 1, patience=10)
            if not heard:
                heard.append(ann.receive())
            assert [(each["type"], each["name"]) for each in heard] == [
                ("left", "Slow")
            ]
            assert ann.ask("history")["members"] == ["Ann"]
            slow.wait_until_cut()


def test_wait_costs_everybody_time_and_nobody_a_message(wait_until):
    """Who sends waits until the slow one reads; then all goes on, without a gap."""
    with ChatServer(when_full="wait", outbox_limit=10) as server:
        with RawClient(server) as slow, chat(server) as ann:
            slow.join("Slow")
            ann.ask("join", room="lobby", name="Ann")
            with talking(ann, MANY) as thread:
                wait_until(lambda: server.waiting == 10, patience=30)
                assert thread.is_alive()
                got = []
                for message in slow.messages():
                    got.append(message["number"])
                    assert server.waiting <= 10
                    if len(got) == MANY + 1:
                        break
            assert got == list(range(2, MANY + 3))


def test_one_that_never_reads_does_not_hold_the_others_for_ever():
    """Its connection ends after ping_interval + ping_timeout, and so does waiting."""
    with ChatServer(when_full="wait", outbox_limit=5, **quick_pings()) as server:
        with RawClient(server) as slow, chat(server) as ann:
            slow.join("Slow")
            ann.ask("join", room="lobby", name="Ann")
            for _ in range(MANY):
                ann.send("message", text=LONG)
                ann.receive_until("message")
            assert ann.ask("history")["members"] == ["Ann"]


@pytest.mark.parametrize("when_full", ["drop", "disconnect", "wait"])
def test_a_client_that_never_reads_does_not_grow_the_server(when_full):
    """Whatever happens to it: what it keeps in memory has a bound."""
    with ChatServer(when_full=when_full, outbox_limit=20, **quick_pings()) as server:
        with RawClient(server) as slow, chat(server) as ann:
            slow.join("Slow")
            ann.ask("join", room="lobby", name="Ann")
            connections = server._connections.copy()
            tracemalloc.start()
            try:
                for _ in range(MANY):
                    ann.send("message", text=LONG)
                    ann.receive_until("message")
                    assert server.waiting <= 20
                    for each in connections:
                        buffered = each.transport.get_write_buffer_size()
                        assert buffered < server.write_limit + len(LONG.encode()) + 500
                gc.collect()
                kept = tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()
            # A hundred messages of history, 20 in the outbox, 40 KB in the buffer; all
            # of them would be 8 MB.
            assert kept < 4_000_000


# -- dead peers ----------------------------------------------------------------------


def quick_pings() -> dict[str, float]:
    return {"ping_interval": 0.2, "ping_timeout": 2 * TIME_UNIT}


def test_a_peer_that_answers_no_ping_is_found_dead(server):
    """The room hears that it left; one that answers stays."""
    with ChatServer(**quick_pings()) as server:
        with chat(server, "Ann") as ann, RawClient(server) as dead:
            dead.join("Dead")
            assert ann.receive_until("joined")["name"] == "Dead"
            assert ann.receive()["type"] == "left"
            assert dead.wait_until_cut() == 1011
            assert ann.ask("message", text="hi")["type"] == "message"


def test_a_peer_that_is_dead_behind_a_full_buffer_is_found_too(wait_until):
    """No ping gets through to it; the time that it reads nothing is what counts."""
    with ChatServer(when_full="drop", **quick_pings()) as server:
        with chat(server, "Ann") as ann, RawClient(server) as dead:
            dead.join("Dead")
            ann.receive_until("joined")
            while True:
                ann.send("message", text=LONG)
                if ann.receive()["type"] == "left":
                    break
            wait_until(lambda: server.connections == 1)


# -- the end -------------------------------------------------------------------------


def test_stop_says_1001_to_all(server):
    """Going away; within the time of stop(), and a hundred of them."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(chat(server, f"n{i}")) for i in range(100)]
        server.stop()
        assert {close_code(client) for client in clients} == {1001}


def test_stop_does_not_wait_for_those_who_do_not_listen():
    """One never reads, one never finished its handshake, one never closes."""
    with ChatServer(when_full="drop", outbox_limit=5) as server:
        with (
            RawClient(server) as slow,
            RawClient(server) as mute,
            connect_tcp((server.host, server.port)) as half,
            chat(server) as ann,
        ):
            half.sendall(b"GET /chat HTTP/1.1\r\n")
            slow.join("Slow")
            mute.join("Mute")
            ann.ask("join", room="lobby", name="Ann")
            with talking(ann, MANY):
                pass
            assert server.waiting
            begun = time.monotonic()
            server.stop(patience=30)
            assert time.monotonic() - begun < 4 * server.close_timeout * TIME_UNIT
            assert not server.errors


def test_stop_while_everybody_waits_for_a_slow_one(wait_until):
    """The wait ends with the connections."""
    with ChatServer(when_full="wait", outbox_limit=5) as server:
        with RawClient(server) as slow, chat(server) as ann:
            slow.join("Slow")
            ann.ask("join", room="lobby", name="Ann")

            def talk() -> None:
                with contextlib.suppress(ConnectionClosed):
                    for _ in range(MANY):
                        ann.ask("message", text=LONG)

            thread = threading.Thread(target=talk)
            thread.start()
            wait_until(lambda: server.waiting == 5, patience=30)
            server.stop()
            thread.join(30)
            assert not thread.is_alive()
            assert not server.errors


def test_a_handshake_that_never_ends_is_cut():
    """It may not hold a connection for ever."""

    class Impatient(ChatServer):
        open_timeout = 0.2

    with Impatient() as server:
        with connect_tcp((server.host, server.port)) as client:
            client.sendall(b"GET /chat HTTP/1.1\r\n")
            with contextlib.suppress(ConnectionError):
                assert client.recv(10) == b""


# -- two servers ---------------------------------------------------------------------


def test_without_a_backplane_half_of_the_room_is_deaf():
    """Same name of the room, same name of a member, and neither hears the other."""
    with ChatServer() as a, ChatServer() as b:
        with chat(a, "Ann") as ann, chat(b, "Ann") as other:
            ann.ask("message", text="is anybody there?")
            answer = other.ask("history")
            assert (answer["number"], answer["history"]) == (1, [])


def test_a_shared_room_outlives_a_restart_of_one_server():
    """Its members are gone with it, what was said is not."""
    shared = InKernelBackplane()
    with ChatServer(backplane=shared) as a, ChatServer(backplane=shared) as b:
        with chat(a, "Ann") as ann, chat(b, "Bo") as bo:
            ann.receive_until("joined")
            bo.ask("message", text="remember")
            b.stop()
            b.start()
            assert ann.receive_until("left")["name"] == "Bo"
        with chat(b) as bo:
            welcome = bo.ask("join", room="lobby", name="Bo")
            assert [each["text"] for each in welcome["history"]] == ["remember"]


def test_a_server_that_missed_events_sends_its_clients_away():
    """With 1013, so that they come back and see the history; and it goes on."""

    class Forgetful(InKernelBackplane):
        lose = False

        def subscribe(self, room):
            return self._losing(room)

        @contextlib.asynccontextmanager
        async def _losing(self, room):
            async with super().subscribe(room) as events:
                yield self._until_lost(events)

        async def _until_lost(self, events):
            async for event in events:
                if self.lose:
                    self.lose = False
                    raise SubscriptionLost("on purpose")
                yield event

    backplane = Forgetful()
    with ChatServer(backplane=backplane) as server:
        with chat(server, "Ann") as ann:
            backplane.lose = True
            ann.send("message", text="hello")
            assert close_code(ann) == 1013
            with chat(server, "Bo") as bo:
                assert bo.ask("history")["history"][0]["text"] == "hello"
        assert not server.errors


def test_a_broken_backplane_is_kept_as_an_error():
    """Its clients get 1011 or 1013, the server lives and says what it caught."""

    class Broken(InKernelBackplane):
        async def publish(self, event):
            raise OSError("the backplane is down")

    with ChatServer(backplane=Broken()) as server:
        with chat(server, "Ann") as ann:
            ann.send("message", text="hello")
            assert close_code(ann) == 1011
        assert "the backplane is down" in repr(server)
        server.stop()
        server.errors.clear()


# -- what it is made with ------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"when_full": "ignore"}, "'ignore'"),
        ({"outbox_limit": 0}, "outbox_limit"),
        ({"ping_timeout": 0}, "seconds"),
        ({"allowed_origins": "https://friend.example"}, r"\['https"),
    ],
)
def test_what_makes_no_server_is_refused(options, message):
    """The error names the parameter, or its value."""
    with pytest.raises(ValueError, match=message):
        ChatServer(**options)


def test_it_also_runs_as_a_process():
    """With kill(), for lessons about servers that die."""
    with ChatServer.in_process(when_full="drop") as server:
        with chat(server, "Ann") as ann:
            server.kill()
            with pytest.raises(ConnectionClosed):
                ann.receive()


def test_no_socket_stays_open(server, wait_until):
    """All connections are forgotten once they are gone, whoever ended them."""
    with (
        chat(server, "Ann"),
        RawClient(server),
        socket.create_connection((server.host, server.port)),
    ):
        wait_until(lambda: server.connections == 3)
    wait_until(lambda: server.connections == 0 and not server._audiences)
