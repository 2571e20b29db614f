"""helpers.servers.score_sockets: the scores by WebSocket"""

import json
import os
import socket

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from helpers.network.link import Link
from helpers.servers.fan_out import Limits
from helpers.servers.score_sockets import MAX_MESSAGE
from helpers.servers.scores import ScoreServer
from tests.peers import connect as connect_tcp
from tests.peers import receive_all, receive_until
from tests.score_clients import begin_reading_nothing, publish


@pytest.fixture
def server():
    with ScoreServer() as server:
        yield server
        assert not server.errors


def listen(server, path: str = "/", **options):
    """A client's connection. ``server`` may be a link as well."""
    host = getattr(server, "sockets", server)
    return connect(f"ws://{host.host}:{host.port}{path}", proxy=None, **options)


def receive(websocket, count: int) -> list[dict]:
    return [json.loads(websocket.recv(timeout=30)) for _ in range(count)]


def ids(websocket, count: int) -> list[int]:
    return [event["id"] for event in receive(websocket, count)]


def close_of(websocket) -> tuple[int, str]:
    """Code and reason of the close frame that the server sent."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            websocket.recv(timeout=30)
    return caught.value.rcvd.code, caught.value.rcvd.reason


# -- events -------------------------------------------------------------------------


def test_it_sends_what_comes_from_now_on(server, wait_until):
    """The same JSON as every other way, as text."""
    publish(server, 5)
    with listen(server) as websocket:
        wait_until(lambda: server.subscribers == 1)
        event = server.publish("goal", score=[1, 0])
        assert websocket.recv(timeout=30) == event.json.decode()
        assert event.id == 6
    wait_until(lambda: server.subscribers == 0)


def test_it_takes_since(server):
    """What is kept after that number first, then what comes."""
    publish(server, 250)
    with listen(server, "/?since=40") as websocket:
        assert ids(websocket, 210) == list(range(41, 251))
        publish(server, 1)
        assert ids(websocket, 1) == [251]


def test_it_tells_who_fell_off():
    """First how many are gone, then what is kept."""
    with ScoreServer(history=4) as server:
        publish(server, 10)
        with listen(server, "/?since=2") as websocket:
            missed, *events = receive(websocket, 5)
    assert missed == {"kind": "missed", "missed": 4}
    assert [event["id"] for event in events] == [7, 8, 9, 10]


@pytest.mark.parametrize(("resume", "expected"), [(False, [4]), (True, [2, 3, 4])])
def test_a_cut_line_loses_events_unless_the_client_asks(
    server, wait_until, resume, expected
):
    """Without ``since`` what came in between is gone; with it nothing is."""
    with Link(server.sockets) as link:
        with listen(link) as websocket:
            wait_until(lambda: server.subscribers == 1)
            publish(server, 1)
            (last,) = ids(websocket, 1)
            link.cut()
            wait_until(lambda: server.subscribers == 0)
            with pytest.raises(ConnectionClosed):
                websocket.recv(timeout=30)
        publish(server, 2)
        with listen(link, f"/?since={last}" if resume else "/") as websocket:
            wait_until(lambda: server.subscribers == 1)
            publish(server, 1)
            assert ids(websocket, len(expected)) == expected


def test_the_endpoint_starts_and_stops_with_its_server():
    """A link in front of it follows; its address stays."""
    server = ScoreServer()
    with server.sockets as sockets:
        assert server.running
        assert sockets.url.startswith("ws://127.0.0.1:")
        port = sockets.port
    assert not server.running
    assert not sockets.running
    with server:
        assert sockets.port == port


# -- who is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://127.0.0.1:{port}.evil.example",
    ],
)
def test_a_page_of_another_origin_is_refused(server, origin):
    """403, before the connection is a WebSocket."""
    origin = origin.format(port=server.sockets.port)
    with pytest.raises(InvalidStatus) as caught, listen(server, origin=origin):
        pass
    assert caught.value.response.status_code == 403
    assert server.sockets.requests == server.subscribers == 0


def test_a_page_of_the_same_origin_is_welcome(server):
    """Also behind a proxy, which passes on the Host that the browser asked for."""
    origin = f"http://127.0.0.1:{server.sockets.port}"
    publish(server, 1)
    with listen(server, "/?since=0", origin=origin) as websocket:
        assert ids(websocket, 1) == [1]


def test_two_origins_are_refused(server):
    """Whichever of them it was, it is not one browser's word."""
    own = f"http://127.0.0.1:{server.sockets.port}"
    headers = [("Origin", own), ("Origin", "http://evil.example")]
    with pytest.raises(InvalidStatus) as caught:
        with listen(server, additional_headers=headers):
            pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("path", "status"), [("/other", 404), ("/?since=x", 400), ("/?since=", 400)]
)
def test_a_bad_address_is_refused(server, path, status):
    """With an HTTP status that says what was wrong."""
    with pytest.raises(InvalidStatus) as caught, listen(server, path):
        pass
    assert caught.value.response.status_code == status


def test_no_place_is_left(wait_until):
    """1013 (try again later); who leaves makes room."""
    with ScoreServer(limits=Limits(subscribers=1)) as server:
        publish(server, 1)
        with listen(server):
            wait_until(lambda: server.subscribers == 1)
            with listen(server) as refused:
                assert close_of(refused)[0] == 1013
        wait_until(lambda: server.subscribers == 0)
        with listen(server, "/?since=0") as websocket:
            assert ids(websocket, 1) == [1]


def test_what_is_no_websocket_is_refused(server):
    """Plain HTTP gets 426, other bytes nothing; the server goes on."""
    address = server.sockets.host, server.sockets.port
    with connect_tcp(address) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert receive_all(sock).startswith(b"HTTP/1.1 426 ")
    with connect_tcp(address) as sock:
        sock.sendall(b"\x16\x03\x01 not HTTP at all\r\n\r\n")
        receive_all(sock)
    publish(server, 1)
    with listen(server, "/?since=0") as websocket:
        assert ids(websocket, 1) == [1]


# -- clients that misbehave ---------------------------------------------------------


def send_frames(websocket, *frames: Frame) -> None:
    """Frames that the client library itself would not send."""
    for frame in frames:
        websocket.socket.sendall(frame.serialize(mask=True))


OVERSIZED = {
    "one frame": [Frame(Opcode.TEXT, b"x" * (MAX_MESSAGE + 1))],
    "binary": [Frame(Opcode.BINARY, bytes(MAX_MESSAGE + 1))],
    "fragments": [
        Frame(Opcode.TEXT, b"x" * MAX_MESSAGE, fin=False),
        Frame(Opcode.CONT, b"x", fin=False),
    ],
}


@pytest.mark.parametrize("frames", OVERSIZED.values(), ids=OVERSIZED)
def test_an_oversized_message_closes_with_1009(server, frames):
    """Also when it comes in fragments that are each small enough."""
    with listen(server) as websocket:
        send_frames(websocket, *frames)
        assert close_of(websocket)[0] == 1009


def test_an_oversized_frame_is_refused_by_its_header(server):
    """Nobody waits for the gigabyte that it announces."""
    with listen(server) as websocket:
        announced = bytes([0x81, 0xFF]) + (2**30).to_bytes(8) + os.urandom(4)
        websocket.socket.sendall(announced)
        assert close_of(websocket)[0] == 1009


@pytest.mark.parametrize(
    "data", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"ok \xe2\x82"]
)
def test_invalid_utf8_closes_with_1007(server, data):
    """In a text message; RFC 6455, section 8.1."""
    with listen(server) as websocket:
        send_frames(websocket, Frame(Opcode.TEXT, data))
        assert close_of(websocket)[0] == 1007


def test_what_a_client_says_is_thrown_away(server, wait_until):
    """Any number of messages, and it still gets its events."""
    with listen(server) as websocket:
        wait_until(lambda: server.subscribers == 1)
        for number in range(500):
            websocket.send("x" * 1000 if number % 2 else b"y")
        websocket.ping().wait(30)
        publish(server, 1)
        assert ids(websocket, 1) == [1]


def leave_unread(server, path: str) -> socket.socket:
    """A client that completes the handshake and then leaves all that comes lie."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    return begin_reading_nothing((server.sockets.host, server.sockets.port), request)


def test_a_client_that_never_reads_does_not_grow_the_server(wait_until):
    """It is dropped, told so and closed with 1008; others are not held up."""
    limits = Limits(unsent=50_000, patience=60)
    with (
        ScoreServer(limits=limits) as server,
        leave_unread(server, "/") as sock,
    ):
        wait_until(lambda: server.subscribers == 1)
        with listen(server, "/?since=0") as quick:
            sent = 0
            while not server.dropped:
                sent += 1
                publish(server, 1, text="x" * 2000)
                assert ids(quick, 1) == [sent]
                assert sent < 5000
        # Close (RFC 6455, section 5.5.1), ten bytes of payload: the code and why.
        close = b"\x88\x0a" + (1008).to_bytes(2) + b"too slow"
        received = receive_until(sock, close)
        assert len(received) < 50_000 + 600_000
        assert b'"kind":"dropped","reason":"too slow' in received[-500:]
        assert received.endswith(close)
        assert server.dropped[0].way == "WebSocket"
        sock.close()
        wait_until(lambda: server.subscribers == 0)


@pytest.mark.parametrize("path", ["/", "/?since=0"])
def test_a_client_that_never_reads_is_cut_off(wait_until, path):
    """When it does not even read the good-bye; live or while it catches up."""
    limits = Limits(unsent=50_000, patience=0.2)
    with ScoreServer(limits=limits) as server:
        publish(server, 1000, text="x" * 3000)
        with leave_unread(server, path):
            wait_until(lambda: server.subscribers == 1 or server.dropped)
            while not server.dropped:
                publish(server, 1, text="x" * 3000)
            wait_until(lambda: server.subscribers == 0)
        assert not server.errors


# -- stop ---------------------------------------------------------------------------


def test_stop_closes_with_1001(server, wait_until):
    """Going away: the client may come back."""
    with listen(server) as websocket:
        wait_until(lambda: server.subscribers == 1)
        server.stop(patience=4)
        assert close_of(websocket) == (1001, "the server stops")


def test_stop_waits_for_nobody(wait_until):
    """Not for who never reads, never answers a close, or never ended its handshake."""
    with ScoreServer(limits=Limits(unsent=10**9, patience=60)) as server:
        publish(server, 1000, text="x" * 3000)
        stuck = [leave_unread(server, path) for path in ("/", "/?since=0")]
        stuck.append(connect_tcp((server.sockets.host, server.sockets.port)))
        wait_until(lambda: server.subscribers == 2)
        publish(server, 300, text="x" * 3000)
        server.stop(patience=4)
        for sock in stuck:
            sock.close()
    assert not server.errors
