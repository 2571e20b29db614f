"""helpers.servers.lean and helpers.servers.lean_epoll: two servers, one behaviour"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from helpers.network.endpoint import reset
from helpers.servers.lean import LeanServer
from helpers.servers.lean_base import MAX_UNSENT, REFUSALS
from helpers.servers.lean_epoll import EpollServer
from helpers.servers.lean_protocol import MAX_MESSAGE, Opcode, frame
from tests.peers import connect as connect_tcp
from tests.peers import receive, receive_all, receive_until

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
LINUX = sys.platform == "linux"
SERVERS = [LeanServer, EpollServer] if LINUX else [LeanServer]


@pytest.fixture(params=SERVERS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture
def server(kind):
    with kind() as server:
        yield server
        assert not server.errors


def open_socket(server, **options):
    """A client of the websockets library: not of our making."""
    return connect(server.make_url("/"), proxy=None, **options)


def open_by_hand(server) -> socket.socket:
    """A client that sends whatever bytes a test wants."""
    sock = connect_tcp((server.host, server.port))
    sock.sendall(REQUEST)
    assert receive_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    return sock


def code_of_close(websocket) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        websocket.recv(timeout=30)
    return caught.value.rcvd.code


# -- what it does ----------------------------------------------------------------------


def test_it_echoes_text_and_bytes(server):
    """Of every length that a message may have, also in fragments."""
    with open_socket(server) as websocket:
        for size in (0, 1, 125, 126, MAX_MESSAGE):
            websocket.send("x" * size)
            assert websocket.recv(timeout=30) == "x" * size
        websocket.send([b"\0\xff", b"", b"more"])
        assert websocket.recv(timeout=30) == b"\0\xffmore"
    assert server.requests == 1


def test_a_ping_is_answered_between_two_fragments(server):
    """A control frame may come in the middle of a message (RFC 6455, section 5.4)."""
    with open_by_hand(server) as sock:
        begin, end = b"\x01\x80" + bytes(4), b"\x80\x80" + bytes(4)
        sock.sendall(begin + b"\x89\x82" + bytes(4) + b"hi" + end)
        assert receive(sock, 6) == frame(Opcode.PONG, b"hi") + frame(Opcode.TEXT)


def test_bytes_may_come_one_by_one(server):
    """A handshake and a frame in pieces of one byte are what they are in one."""
    sent = REQUEST + b"\x81\x82" + bytes(4) + b"ok"
    with connect_tcp((server.host, server.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in sent:
            sock.sendall(bytes([byte]))
        answer = receive_until(sock, frame(Opcode.TEXT, b"ok"))
        assert answer.startswith(b"HTTP/1.1 101 ")


def test_a_broadcast_reaches_all_who_are_open(server, wait_until):
    """And nobody who has not finished its handshake."""
    with ExitStack() as stack:
        unfinished = stack.enter_context(connect_tcp((server.host, server.port)))
        clients = [stack.enter_context(open_socket(server)) for _ in range(5)]
        wait_until(lambda: server.connections == 6)
        server.broadcast("kick-off")
        assert [each.recv(timeout=30) for each in clients] == ["kick-off"] * 5
        unfinished.sendall(REQUEST)
        answer = receive_until(unfinished, b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ") and b"kick-off" not in answer


def test_a_client_that_leaves_leaves_nothing(server, wait_until):
    """In good order, by the end of its stream, or by a reset."""
    with open_socket(server):
        pass
    open_by_hand(server).close()
    with open_by_hand(server) as sock:
        reset(sock)
    wait_until(lambda: server.connections == 0)
    assert list(server.unfinished()) == []
    assert server.requests == 3


def test_an_idle_connection_has_no_conversation(server, wait_until):
    """Only who is half-way through something has; that is the point of them."""
    with open_by_hand(server) as sock:
        assert list(server.unfinished()) == []
        sock.sendall(b"\x81\x82")
        wait_until(lambda: len(list(server.unfinished())) == 1)
        sock.sendall(bytes(4) + b"ok")
        assert receive(sock, 4) == frame(Opcode.TEXT, b"ok")
        assert list(server.unfinished()) == []


def test_a_stop_says_going_away_and_the_next_start_has_nobody(server):
    """At the same address."""
    with open_socket(server) as websocket:
        server.stop()
        assert code_of_close(websocket) == 1001
    server.start()
    assert server.connections == 0
    with open_socket(server) as websocket:
        websocket.send("again")
        assert websocket.recv(timeout=30) == "again"


def test_it_runs_in_a_process_of_its_own(kind):
    """As the figures of notebook 03 have it."""
    with kind.in_process() as server:
        with open_by_hand(server) as sock:
            sock.sendall(b"\x81\x82" + bytes(4) + b"ok")
            assert receive(sock, 4) == frame(Opcode.TEXT, b"ok")
        assert server.requests == 1


# -- what it refuses -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"\x81\x02no", 1002),  # not masked
        (b"\xc1\x80" + bytes(4), 1002),  # a reserved bit
        (b"\x83\x80" + bytes(4), 1002),  # an unknown opcode
        (b"\x80\x80" + bytes(4), 1002),  # goes on with what was not begun
        (b"\x01\x80" + bytes(4) + b"\x81\x80" + bytes(4), 1002),  # begins twice
        (b"\x09\x80" + bytes(4), 1002),  # a ping in fragments
        (b"\x89\xfe\x00\x7e", 1002),  # a ping of 126 bytes
        (b"\x81\x81" + bytes(4) + b"\xff", 1007),
        (b"\x88\x81" + bytes(4) + b"\x03", 1002),  # half a close code
        (b"\x88\x82" + bytes(4) + b"\x03\xed", 1002),  # 1005 is never sent
        (b"\x81\xfe" + (MAX_MESSAGE + 1).to_bytes(2, "big"), 1009),
        (b"\x81\xff" + (1 << 62).to_bytes(8, "big"), 1009),
    ],
)
def test_what_breaks_the_protocol_ends_in_its_close_code(server, bad, code):
    """The last word arrives even when more was sent, and then the stream ends."""
    with open_by_hand(server) as sock:
        sock.sendall(bad + b"and more")
        last = receive_all(sock)
        assert last[0] == 0x88
        assert int.from_bytes(last[2:4], "big") == code
        with open_socket(server) as websocket:
            websocket.send("it serves on")
            assert websocket.recv(timeout=30) == "it serves on"


def test_fragments_count_together(server):
    """Many small ones are too big like one large one."""
    with open_by_hand(server) as sock:
        piece = b"\xfe\x07\xd0" + bytes(4) + b"x" * 2000
        sock.sendall(b"\x01" + piece + b"\x00" + piece + b"\x00" + piece)
        assert receive_all(sock)[2:4] == (1009).to_bytes(2, "big")


def test_a_close_is_answered_by_its_own_code(server):
    """After what was said before it."""
    with open_by_hand(server) as sock:
        close = b"\x88\x82" + bytes(4) + (4321).to_bytes(2, "big")
        sock.sendall(b"\x81\x81" + bytes(4) + b"x" + close)
        assert receive_all(sock) == b"\x81\x01x\x88\x02" + (4321).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"GET", b"POST"), 400),
        ((b"Upgrade: websocket\r\n", b""), 426),
        ((b"Version: 13", b"Version: 8"), 426),
        ((b"Host: x\r\n", b""), 400),
        ((b"AAAA==", b"AAAA"), 400),
        ((b"Host: x", b"Host x"), 400),
        ((b"Host: x", b"Host: x\r\nOrigin: http://elsewhere"), 403),
        ((b"Host: x", b"Host: x\r\nCookie: " + b"c" * 20_000), 431),
    ],
)
def test_a_handshake_that_is_none_is_refused(server, change, status):
    """By an HTTP answer that says why, which ends the connection."""
    with connect_tcp((server.host, server.port)) as sock:
        sock.sendall(REQUEST.replace(*change))
        answer = receive_all(sock)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(b".\n") or answer.endswith(b"HTTP/1.1\n")


def test_a_page_of_this_server_may_connect(server):
    """Its Origin is the host that it asks."""
    origin = f"http://127.0.0.1:{server.port}"
    with open_socket(server, origin=origin) as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=30) == "hello"
    with pytest.raises(InvalidStatus):
        open_socket(server, origin="http://elsewhere.example")


def test_beyond_its_limit_it_says_so(kind, wait_until):
    """503; and when one leaves there is room again."""
    with kind(limit=2) as server:
        with open_socket(server), open_socket(server) as second:
            with pytest.raises(InvalidStatus) as caught:
                open_socket(server)
            assert caught.value.response.status_code == 503
            assert caught.value.response.headers["Retry-After"]
            wait_until(lambda: server.connections == 2)
            second.close()
            wait_until(lambda: server.connections == 1)
            with open_socket(server):
                pass


def test_a_crowd_beyond_its_limit_is_bounded_too(kind, wait_until):
    """Those who are refused take places only so many, and only for their time."""
    with kind(limit=1) as server:
        address = (server.host, server.port)
        crowd = [connect_tcp(address) for _ in range(REFUSALS + 50)]
        ended = [sock for sock in crowd[REFUSALS + 1 :] if not receive_nothing(sock)]
        assert len(ended) == 49
        assert server.connections == REFUSALS + 1
        for sock in crowd:
            sock.close()
        wait_until(lambda: server.connections == 0)


def receive_nothing(sock: socket.socket) -> bytes:
    """What came before the end, be it by a reset."""
    try:
        return receive_all(sock)
    except ConnectionError:
        return b""


def test_who_does_not_finish_is_cut_off(kind, wait_until):
    """In the handshake, in a frame, and in the good-bye; an idle one is not."""
    with kind(patience=0.2) as server:
        idle, in_frame, leaving = (open_by_hand(server) for _ in range(3))
        in_frame.sendall(b"\x81\xfe")
        leaving.sendall(b"\x88\x80" + bytes(4))
        with connect_tcp((server.host, server.port)) as in_handshake:
            in_handshake.sendall(REQUEST[:50])
            assert receive_nothing(in_handshake) == receive_nothing(in_frame) == b""
        assert receive_nothing(leaving) == frame(Opcode.CLOSE)
        wait_until(lambda: server.connections == 1)
        idle.sendall(b"\x81\x82" + bytes(4) + b"ok")
        assert receive(idle, 4) == frame(Opcode.TEXT, b"ok")
        for sock in (idle, in_frame, leaving):
            sock.close()


def test_a_reader_that_reads_nothing_is_cut_off(server, wait_until):
    """What waits for it is bounded, and the others hear all."""
    slow = open_by_hand(server)
    with open_socket(server) as quick, slow:
        wait_until(lambda: server.connections == 2)
        heard = 0
        while server.connections == 2 and heard < 50_000:
            server.broadcast("x" * 4000)
            assert len(quick.recv(timeout=30)) == 4000
            heard += 1
        assert server.connections == 1
        # The kernels' two buffers take a few MB at most before anything waits here.
        assert heard * 4000 < 20_000_000 + MAX_UNSENT


def test_an_echo_to_who_reads_nothing_is_bounded(server, wait_until):
    """It is not read any more, or cut off; the server does not grow."""
    taken = 0
    with open_by_hand(server) as sock:
        sock.settimeout(1)
        message = b"\x81\xfe\x0f\xa0" + bytes(4) + b"x" * 4000
        try:
            while taken < 100_000_000:
                taken += sock.send(message * 16)
        except OSError:  # a time-out, or a reset
            pass
    assert taken < 50_000_000
    wait_until(lambda: server.connections == 0)


def test_it_says_what_its_arguments_must_be(kind):
    """At once."""
    for bad in ({"limit": 0}, {"patience": 0}, {"keepalive": 0.5}):
        with pytest.raises(ValueError, match="at least 1"):
            kind(**bad)


@pytest.mark.skipif(not LINUX, reason="it reads the socket's options by Linux's names")
def test_dead_peers_are_looked_for_by_the_kernel(kind):
    """Each accepted socket has the keep-alive of its listener."""
    seen = []
    with kind(keepalive=77) as server, open_by_hand(server):
        done = threading.Event()

        def look() -> None:
            seen.extend(options_of_all(server))
            done.set()

        server.call_soon(look)
        assert done.wait(30)
    assert seen == [(1, 77, 1)]


def options_of_all(server) -> list[tuple[int, ...]]:
    wanted = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    ]
    if isinstance(server, LeanServer):
        raw = [each.transport.get_extra_info("socket") for each in server.sockets]
        return [tuple(each.getsockopt(*name) for name in wanted) for each in raw]
    found = []
    for fd in server._all(2):
        borrowed = socket.socket(fileno=fd)
        found.append(tuple(borrowed.getsockopt(*name) for name in wanted))
        borrowed.detach()
    return found


def test_without_epoll_it_names_the_other_one(monkeypatch):
    """On macOS and Windows."""
    monkeypatch.delattr("select.epoll", raising=False)
    with pytest.raises(RuntimeError, match="LeanServer"):
        EpollServer().start()


def test_the_card_says_what_it_is(server):
    """An address that a client takes."""
    assert server.url == f"ws://127.0.0.1:{server.port}"
    assert server.url in repr(server)
