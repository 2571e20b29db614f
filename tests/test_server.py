"""helpers/server.py: one server = one thread, one event loop, one loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import signal
import socket
import threading
import time
import tracemalloc

import httpx
import pytest
from aiohttp import web

from helpers.server import HTTPServer, Server, running, stop_all
from tests.conftest import holds_within
from tests.peers import connect, receive_all

MEBIBYTE = 1024 * 1024


class Hello(HTTPServer):
    """Answers, fails, or blocks its loop until it is released."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.blocked = threading.Event()
        self.release = threading.Event()

    def routes(self):
        return [
            web.get("/", self.hello),
            web.get("/fail", self.fail),
            web.get("/block", self.block),
            web.post("/", self.read),
        ]

    async def hello(self, request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def fail(self, request: web.Request) -> web.Response:
        raise LookupError("no such video")

    async def block(self, request: web.Request) -> web.Response:
        self.blocked.set()
        self.release.wait(60)
        return web.Response(text="at last")

    async def read(self, request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))


class Failing(Server):
    """Can not open, and closes no better."""

    async def open(self, host: str, port: int) -> int:
        raise OSError("the disk is full")

    async def close(self) -> None:
        raise RuntimeError("nor can it close")


class Slow(Server):
    """Takes a minute to open."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.opening = threading.Event()
        self.closed = threading.Event()

    async def open(self, host: str, port: int) -> int:
        self.opening.set()
        await asyncio.sleep(60)
        return port

    async def close(self) -> None:
        self.closed.set()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def blocked_server():
    """A server whose loop stands still in a handler; released at the end."""
    server = Hello().start()
    with connect((server.host, server.port)) as client:
        client.sendall(b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n")
        assert server.blocked.wait(30)
        try:
            yield server
        finally:
            server.release.set()
            server._thread.join(30)


# -- start and stop ------------------------------------------------------------------


def test_it_serves_within_the_with_block_and_not_after():
    """`with` starts it ready to serve, and leaves no listening port."""
    with Hello() as server:
        assert httpx.get(server.make_url("/")).text == "hello"
        port = server.port
    assert not listens(port)


def test_it_serves_within_the_async_with_block_and_not_after():
    """The same for `async with`."""

    async def run() -> int:
        async with Hello() as server, httpx.AsyncClient() as client:
            assert (await client.get(server.url)).text == "hello"
            return server.port

    assert not listens(asyncio.run(run()))


def test_start_and_stop_are_idempotent():
    """A second start keeps the port, a second stop has nothing to do."""
    server = Hello().start()
    port = server.port
    assert server.start() is server
    assert server.port == port
    server.stop()
    server.stop()
    assert not server.running


def test_a_restart_comes_back_at_the_same_address():
    """So that a client that retries finds it, with its count begun anew."""
    with Hello() as server:
        url = server.url
        httpx.get(url)
    with server:
        assert server.url == url
        assert server.requests == 0
        assert httpx.get(url).text == "hello"


def test_running_lists_by_name_what_runs():
    """running() knows what runs now, and only that."""
    with Hello(name="b") as b, Hello(name="a") as a:
        assert [server for server in running() if server in (a, b)] == [a, b]
    assert not {a, b} & set(running())


def test_stop_all_stops_all(capsys):
    """Even when one of them will not stop in good order."""
    first, second = Hello(name="a").start(), Hello(name="b").start()

    def refuse() -> None:
        raise RuntimeError("I would rather not")

    first.stop, stop = refuse, first.stop
    stop_all()
    assert not second.running
    assert "I would rather not" in capsys.readouterr().err
    stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])
def test_anything_but_loopback_is_refused(host):
    """The error names the address and what to use."""
    with pytest.raises(ValueError, match=r"is not a loopback address.*127\.0\.0\.1"):
        Hello(host=host)


def test_localhost_is_one_address():
    """It may resolve to two, which port 0 would give a port each."""
    with Hello(host="localhost") as server:
        assert server.url == f"http://127.0.0.1:{server.port}"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_loopback():
    """The URL has the brackets of RFC 3986, section 3.2.2."""
    with Hello(host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(server.url).text == "hello"


def test_the_port_of_a_stopped_server_is_a_clear_error():
    """It says that it does not run, and what to do."""
    with pytest.raises(RuntimeError, match="Hello does not run: start it"):
        _ = Hello().url


def test_a_path_starts_with_a_slash():
    """make_url would else glue it to the port."""
    with Hello() as server, pytest.raises(ValueError, match="'videos'"):
        server.make_url("videos")


# -- what goes wrong while starting --------------------------------------------------


def test_an_error_while_starting_reaches_the_caller():
    """The very exception of open(), even when close() fails as well."""
    server = Failing()
    with pytest.raises(OSError, match="the disk is full"):
        server.start()
    assert not server.running
    assert "nor can it close" in repr(server)


def test_a_port_in_use_is_an_error_that_names_it():
    """And the one who has it goes on."""
    with Hello() as first:
        with pytest.raises(OSError, match=f"{first.port}.*in use"):
            Hello(port=first.port).start()
        assert httpx.get(first.url).text == "hello"


def test_an_interrupt_while_starting_leaves_nothing():
    """The interrupt comes out of start(), and open() is cancelled and closed."""
    server = Slow()

    def interrupt() -> None:
        server.opening.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        server.start()
    thread.join()
    assert server.closed.wait(30)
    assert not server.running


def test_a_cancelled_async_with_leaves_nothing():
    """An awaiting cell is interrupted by cancelling its task."""
    server = Slow()

    async def run() -> None:
        task = asyncio.create_task(server.__aenter__())
        await asyncio.to_thread(server.opening.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert server.closed.is_set()
    assert not server.running


# -- what goes wrong while serving ---------------------------------------------------


def test_a_handlers_exception_is_kept_and_shown(capsys):
    """The client gets a 500, the card and stop() tell why, and it goes on."""
    with Hello() as server:
        assert httpx.get(server.make_url("/fail")).status_code == 500
        assert httpx.get(server.url).text == "hello"
        assert [type(error) for error in server.errors] == [LookupError]
        assert "last error LookupError('no such video')" in repr(server)
    assert "Hello caught LookupError('no such video')" in capsys.readouterr().err


def test_an_error_outside_of_any_request_is_kept(wait_until):
    """A callback on the loop that raises is not lost."""
    with Hello() as server:
        server.call_soon(lambda: 1 / 0)
        wait_until(lambda: server.errors)
        assert httpx.get(server.url).text == "hello"
        server.errors.clear()


def test_kept_errors_are_bounded():
    """A handler that always fails does not fill the memory."""
    with Hello() as server, httpx.Client(base_url=server.url) as client:
        for _ in range(server.errors.maxlen + 5):
            client.get("/fail")
        assert len(server.errors) == server.errors.maxlen
        server.errors.clear()


def test_a_handler_that_blocks_freezes_its_own_server_only():
    """As in Node.js: one loop stands still, the others do not notice."""
    with blocked_server() as frozen, Hello() as other:
        assert httpx.get(other.url).text == "hello"
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(frozen.url, timeout=0.3)
        frozen.release.set()
        assert httpx.get(frozen.url).text == "hello"
        frozen.stop()


def test_stop_says_when_a_handler_blocks():
    """Within its patience, with what to do; and a start meanwhile says it too."""
    with blocked_server() as server:
        with pytest.raises(RuntimeError, match=r"within 0\.1 s: a handler blocks"):
            server.stop(patience=0.1)
        assert not server.running
        with pytest.raises(RuntimeError, match="can not start: a handler blocks"):
            server.start()
    with server:
        assert httpx.get(server.url).text == "hello"


# -- the card ------------------------------------------------------------------------


def test_the_card_has_name_address_and_requests():
    """As text and as HTML, escaped."""
    with Hello(name="<video>") as server:
        for _ in range(3):
            httpx.get(server.url)
        assert repr(server) == (f"<server <video>, address {server.url}, requests 3>")
        card = server._repr_html_()
        assert "&lt;video&gt;" in card
        assert "<video>" not in card
        assert server.url in card
        assert ">3<" in card
    assert "stopped" in repr(server)
    assert "requests 3" in repr(server)


# -- bad input -----------------------------------------------------------------------

BAD_HEADS = {
    "garbage": b"\x00\xff\x01 garbage\r\n\r\n",
    "no version": b"GET / HTTP\r\n\r\n",
    "header without colon": b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "negative length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a header of 1 MB": b"GET / HTTP/1.1\r\nX: " + b"a" * MEBIBYTE + b"\r\n\r\n",
    "a request line of 1 MB": b"GET /" + b"a" * MEBIBYTE + b" HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("head", BAD_HEADS.values(), ids=BAD_HEADS)
def test_a_bad_request_is_refused_and_the_server_goes_on(head):
    """A 400, or a closed connection where the client went on sending; no error."""
    with Hello() as server:
        with connect((server.host, server.port)) as client:
            answer = b""
            with contextlib.suppress(ConnectionError):
                client.sendall(head)
                answer = receive_all(client)
        assert answer.startswith(b"HTTP/1.") or not answer
        assert b" 400 " in answer or not answer
        assert httpx.get(server.url).text == "hello"
        assert not server.errors


def test_a_body_over_the_bound_is_refused():
    """413 (RFC 9110, section 15.5.14)."""
    with Hello() as server:
        answer = httpx.post(server.url, content=bytes(server.max_body + 1))
        assert answer.status_code == 413


def test_a_client_that_sends_a_byte_a_second_is_closed():
    """It may send for ever: what counts is when the request is whole."""

    class Impatient(Hello):
        idle = 0.5

    with Impatient() as server, connect((server.host, server.port)) as client:
        client.settimeout(0.02)
        begun = time.monotonic()
        head = itertools.chain(b"GET / HTTP/1.1\r\nX: ", itertools.repeat(ord("a")))
        with contextlib.suppress(ConnectionError):
            for byte in head:
                client.sendall(bytes([byte]))
                try:
                    assert client.recv(100) == b""
                    break
                except TimeoutError:
                    assert time.monotonic() - begun < 60
        assert time.monotonic() - begun >= Impatient.idle * 0.9
        assert httpx.get(server.url).text == "hello"


def test_heads_that_never_end_are_bounded_in_memory():
    """A hundred clients with 1 MB of header each, and nothing of it is kept."""
    head = b"GET / HTTP/1.1\r\nX: " + b"a" * MEBIBYTE
    with Hello() as server, contextlib.ExitStack() as stack:
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        for _ in range(100):
            client = stack.enter_context(connect((server.host, server.port)))
            with contextlib.suppress(ConnectionError):
                client.sendall(head)
        assert httpx.get(server.url).text == "hello"

        def little_is_kept() -> bool:
            gc.collect()  # aiohttp leaves cycles, which wait for it
            return tracemalloc.get_traced_memory()[0] < 20 * MEBIBYTE

        assert holds_within(little_is_kept)


def test_a_burst_of_connections_is_taken_at_once():
    """The backlog holds them, so that no client waits for a SYN to be sent again."""
    with Hello() as server, contextlib.ExitStack() as stack:
        clients = []
        for _ in range(400):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((server.host, server.port))
            clients.append(client)
        for client in clients:
            client.settimeout(30)
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.0 200"
