"""helpers.servers.concurrency"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from helpers.server import Server, running
from helpers.servers import concurrency
from helpers.servers.concurrency import AsyncServer, SyncServer, ThreadedServer
from helpers.servers.database import Database
from tests.peers import connect, receive_all

KINDS = [SyncServer, ThreadedServer, AsyncServer]
PATIENCE = 60.0


def make(kind: type[Server], handler: Callable[[str], str], **options) -> Server:
    """A server of this kind, for a handler that does not wait."""

    async def async_handler(path: str) -> str:
        return handler(path)

    return kind(async_handler if kind is AsyncServer else handler, **options)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request) -> type[Server]:
    return request.param


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(50) as threads:
        yield threads


def get(server: Server, path: str = "/") -> httpx.Response:
    return httpx.get(server.make_url(path), timeout=PATIENCE)


def speak(server: Server, data: bytes) -> bytes:
    """Send bytes, and return all that comes back."""
    with connect((server.host, server.port)) as client:
        client.sendall(data)
        return receive_all(client)


# -- what they share -------------------------------------------------------------------


def test_a_handler_answers_by_the_path(kind):
    """Its text, with the query it was asked for; one request a connection."""
    with make(kind, lambda path: f"größer {path}") as server:
        answer = get(server, "/videos/1?x=2")
        assert server.requests == 1
    assert answer.text == "größer /videos/1?x=2"
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert not server.errors


def test_it_remembers_what_it_handled(kind):
    """Path, start and end, in the order of their ends; bounded; new at each start."""
    server = make(kind, lambda path: path)
    with server:
        began = time.perf_counter()
        for number in range(5):
            get(server, f"/{number}")
        ended = time.perf_counter()
        assert [request.path for request in server.handled] == [
            f"/{number}" for number in range(5)
        ]
        moments = [m for _, *times in server.handled for m in times]
        assert moments == sorted(moments)
        assert began < moments[0] and moments[-1] < ended
    with server:
        assert server.handled == []


def test_it_remembers_the_last_requests_only(kind, monkeypatch):
    """Memory is bounded; the count goes on."""
    monkeypatch.setattr(concurrency, "KEPT", 3)
    with make(kind, lambda path: path) as server:
        for number in range(5):
            get(server, f"/{number}")
        assert [request.path for request in server.handled] == ["/2", "/3", "/4"]
        assert server.requests == 5


def test_a_handler_that_raises_is_a_500(kind, capsys):
    """The error is kept, and the server goes on."""

    def handler(path: str) -> str:
        return {"/good": "good"}[path]

    with make(kind, handler) as server:
        answer = get(server, "/bad")
        assert (answer.status_code, answer.text) == (500, "the handler raised KeyError")
        assert get(server, "/good").text == "good"
        assert [type(error) for error in server.errors] == [KeyError]
    assert "KeyError('/bad')" in capsys.readouterr().err


def test_a_handler_that_returns_no_text_is_a_500(kind, capsys):
    """Its author sees what it returned."""
    with make(kind, lambda path: None) as server:
        assert get(server).status_code == 500
    assert "returns text, not NoneType" in capsys.readouterr().err


async def async_handler(path: str) -> str:
    return path


def handler(path: str) -> str:
    return path


class AsyncCallable:
    async def __call__(self, path: str) -> str:
        return path


@pytest.mark.parametrize("kind", [SyncServer, ThreadedServer])
@pytest.mark.parametrize(
    "wrong", [async_handler, functools.partial(async_handler), AsyncCallable()]
)
def test_an_async_handler_needs_an_async_server(kind, wrong):
    """The error names the cure."""
    with pytest.raises(TypeError, match=f"{kind.__name__} has no way to await .*Async"):
        kind(wrong)


def test_a_blocking_handler_is_not_for_an_async_server():
    """The error says why, and names the cure."""
    with pytest.raises(TypeError, match=r"would freeze all other .* ThreadedServer"):
        AsyncServer(handler)
    assert AsyncServer(AsyncCallable())
    assert AsyncServer(functools.partial(async_handler))


def test_a_handler_is_a_function(kind):
    """Not what it returns."""
    with pytest.raises(TypeError, match="a function of the path, not 'hello'"):
        kind("hello")


def test_it_restarts_at_the_same_address(kind):
    """And listens no longer in between."""
    server = make(kind, lambda path: "here")
    with server:
        url = server.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    with server:
        assert server.url == url
        assert get(server).text == "here"
    assert server not in running()


def test_it_listens_on_ipv6_too(kind):
    """Where the machine has it."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with make(kind, lambda path: "six", host="::1") as server:
        assert get(server).text == "six"


def test_it_runs_in_a_process_of_its_own(kind):
    """With a handler that no module knows, as from a notebook's cell."""
    word = "closure"
    with kind.in_process(
        local_async_handler(word) if kind is AsyncServer else local_handler(word)
    ) as server:
        assert get(server, "/x").text == "closure /x, answered after 0 s"
        assert server.requests == 1


def local_handler(word: str) -> Callable:
    database = Database(workers=2)

    def handler(path: str) -> str:
        return f"{word} {path}, {database.query(0)}"

    return handler


def local_async_handler(word: str) -> Callable:
    database = Database(workers=2)

    async def handler(path: str) -> str:
        return f"{word} {path}, {await database.query_async(0)}"

    return handler


# -- bad clients -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000, b"501"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", b"431"),
    ],
    ids=["no HTTP", "POST with a body", "1 MB of head"],
)
def test_a_bad_request_is_refused_and_the_server_goes_on(kind, request_bytes, status):
    """The refusal arrives, though the client had more to say."""
    with make(kind, lambda path: "good") as server:
        assert speak(server, request_bytes).startswith(b"HTTP/1.1 " + status)
        assert get(server).text == "good"
        assert server.requests == 1
        assert not server.errors


def test_a_request_may_come_byte_by_byte(kind):
    """As long as it is whole in time."""
    with make(kind, lambda path: path) as server:
        with connect((server.host, server.port)) as client:
            for byte in b"GET /slow HTTP/1.1\r\n\r\n":
                client.send(bytes([byte]))
            assert receive_all(client).endswith(b"\r\n\r\n/slow")


def test_a_client_that_says_nothing_is_sent_away(kind):
    """408 after `idle` seconds; and so is one that dribbles."""
    with make(kind, lambda path: "good") as server:
        server.idle = 0.1
        assert speak(server, b"GET / HT").startswith(b"HTTP/1.1 408 ")
        with connect((server.host, server.port)) as client:
            with pytest.raises(OSError):
                for _ in itertools.count():
                    client.sendall(b"x")
                    time.sleep(0.01)
        assert get(server).text == "good"


def test_clients_that_leave_harm_nobody(kind):
    """Before, in and after their request; nothing is kept as an error."""
    with make(kind, lambda path: "x" * 1_000_000) as server:
        for data in (b"", b"GET /", b"GET / HTTP/1.1\r\n\r\n"):
            with connect((server.host, server.port)) as client:
                client.sendall(data)
        assert len(get(server).text) == 1_000_000
        assert not server.errors


# -- how they differ -------------------------------------------------------------------


class Gate:
    """Holds handlers until it is opened, and counts those that wait at it."""

    def __init__(self) -> None:
        self.inside = 0
        self._lock = threading.Lock()
        self._open = threading.Event()

    def enter(self) -> None:
        with self._lock:
            self.inside += 1

    def pass_blocking(self, path: str) -> str:
        self.enter()
        self._open.wait(PATIENCE)
        return path

    async def pass_awaiting(self, path: str) -> str:
        self.enter()
        while not self._open.is_set():  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.005)
        return path

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def test_one_thread_answers_one_request_after_the_other(clients):
    """No two handlers overlap, and all are answered."""
    with SyncServer(lambda path: time.sleep(0.005) or path) as server:
        assert server.threads == 1
        answers = list(clients.map(get, [server] * 20))
        handled = server.handled
    assert all(answer.status_code == 200 for answer in answers)
    assert len(handled) == 20
    for before, after in itertools.pairwise(handled):
        assert before.ended <= after.started


def test_so_many_threads_hold_so_many_requests(clients, gate, wait_until):
    """The next ones wait in its queue."""
    with ThreadedServer(gate.pass_blocking, threads=3) as server:
        asked = [clients.submit(get, server) for _ in range(5)]
        wait_until(lambda: gate.inside == 3 and server.waiting == 2)
        assert server.threads == 3
        gate.open()
        assert [a.result().status_code for a in asked] == [200] * 5


def test_all_coroutines_wait_at_once(clients, gate, wait_until):
    """On one thread."""
    with AsyncServer(gate.pass_awaiting) as server:
        before = threading.active_count()
        first = clients.submit(get, server)
        wait_until(lambda: gate.inside == 1)
        assert threading.active_count() - before <= 1  # the client's
        asked = [clients.submit(get, server) for _ in range(39)]
        wait_until(lambda: gate.inside == 40)
        assert server.threads == 1
        gate.open()
        assert all(a.result().status_code == 200 for a in [first, *asked])


def test_a_silent_client_holds_up_all_others_of_a_sync_server():
    """Until its time is over; the patience of an AsyncServer costs nobody a thing."""
    with SyncServer(handler) as server:
        server.idle = 0.2
        began = time.perf_counter()
        with connect((server.host, server.port)):
            assert get(server, "/x").text == "/x"
        assert server.handled[0].started - began >= server.idle
    with AsyncServer(async_handler) as server:
        assert server.idle > PATIENCE / 10
        with connect((server.host, server.port)) as silent:
            assert get(server, "/x").text == "/x"
            silent.sendall(b"GET /still-welcome HTTP/1.1\r\n\r\n")
            assert receive_all(silent).endswith(b"/still-welcome")


def test_a_silent_client_holds_one_thread_of_a_threaded_server():
    """The others go on."""
    with ThreadedServer(handler, threads=2) as server:
        with connect((server.host, server.port)) as silent:
            for _ in range(5):
                assert get(server, "/x").text == "/x"
            silent.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "many"])
def test_a_number_of_threads_that_is_none_is_refused(threads):
    """With what was given."""
    with pytest.raises(ValueError, match=f"from 1, not {threads!r}"):
        ThreadedServer(handler, threads=threads)


# -- the end ---------------------------------------------------------------------------


def test_an_async_server_stops_while_handlers_wait(clients, gate, wait_until):
    """They are cancelled, and their clients see the connection end."""
    cancelled = []

    async def wait_long(path: str) -> str:
        gate.enter()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(path)
            raise

    with AsyncServer(wait_long) as server:
        asked = [clients.submit(get, server) for _ in range(5)]
        wait_until(lambda: gate.inside == 5)
    assert len(cancelled) == 5
    for answer in asked:
        with pytest.raises(httpx.TransportError):
            answer.result()


@pytest.mark.parametrize("kind", [SyncServer, ThreadedServer])
def test_a_handler_that_blocks_can_not_be_stopped(kind, clients, gate, wait_until):
    """stop() says so after its patience; the port closes, and later it restarts."""
    server = kind(gate.pass_blocking).start()
    asked = clients.submit(get, server)
    wait_until(lambda: gate.inside == 1)
    with pytest.raises(RuntimeError, match=r"did not stop within 0\.05 s: .* handler"):
        server.stop(patience=0.05)
    assert server not in running()
    gate.open()
    assert asked.result().status_code == 200
    wait_until(lambda: not [t for t in threading.enumerate() if server.name in t.name])
    with server:
        assert get(server).status_code == 200


def test_who_waits_in_the_queue_at_the_end_is_sent_home(clients, gate, wait_until):
    """Nobody serves them any more, and no thread stays for them."""
    server = ThreadedServer(gate.pass_blocking, threads=1).start()
    asked = [clients.submit(get, server) for _ in range(4)]
    wait_until(lambda: gate.inside == 1 and server.waiting == 3)
    with pytest.raises(RuntimeError, match="1 of its 1 threads are still in a handler"):
        server.stop(patience=0.05)
    gate.open()
    ended = [type(a.exception(PATIENCE)) for a in asked]
    assert ended.count(type(None)) == 1
    assert gate.inside == 1


def test_a_stop_does_not_wait_for_a_silent_client_for_ever(kind):
    """Only as long as a client may be silent."""
    server = make(kind, lambda path: path)
    server.idle = 0.2
    with server:
        silent = connect((server.host, server.port))
    silent.close()
    assert server not in running()


def test_connections_beyond_the_open_files_wait(wait_until):
    """The server says so, and serves them when there is room again."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with AsyncServer(async_handler) as server:
        with (
            connect((server.host, server.port)) as early,
            contextlib.ExitStack() as full,
        ):
            try:
                # The lowest free descriptor tells how many fill the table.
                with socket.socket() as probe:
                    resource.setrlimit(
                        resource.RLIMIT_NOFILE, (probe.fileno() + 8, hard)
                    )
                late = full.enter_context(socket.socket())
                with contextlib.suppress(OSError):
                    while True:
                        full.enter_context(socket.socket())
                late.connect((server.host, server.port))
                wait_until(lambda: server.errors)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for client in (early, late):
                client.settimeout(PATIENCE)
                client.sendall(b"GET /late HTTP/1.1\r\n\r\n")
                assert receive_all(client).endswith(b"/late")
        assert {error.errno for error in server.errors} == {errno.EMFILE}
        server.errors.clear()
