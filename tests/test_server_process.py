"""helpers/server_process.py: a Server as a child process."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

import cloudpickle
import httpx
import psutil
import pytest
from aiohttp import web

from helpers.server import HTTPServer, running
from tests.conftest import holds_within

# As from a notebook: a child need not import pytest for the classes below.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def stand_still() -> None:
    time.sleep(60)


class Counter(HTTPServer):
    """Remembers how often it was asked, and can be blocked for a minute."""

    def __init__(self, word: str = "hello", **options) -> None:
        super().__init__(**options)
        self.word = word
        self.count = 0

    def routes(self):
        return [web.get("/", self.answer), web.get("/block", self.block)]

    async def answer(self, request: web.Request) -> web.Response:
        self.count += 1
        print("a print of a handler must not garble the conversation")
        return web.json_response({"word": self.word, "count": self.count})

    async def block(self, request: web.Request) -> web.Response:
        stand_still()
        return web.Response()


class Failing(HTTPServer):
    async def open(self, host: str, port: int) -> int:
        raise LookupError("no zone file")


class Dying(HTTPServer):
    async def open(self, host: str, port: int) -> int:
        os._exit(3)


class Slow(HTTPServer):
    async def open(self, host: str, port: int) -> int:
        stand_still()
        return port


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children()}


def test_it_is_the_same_server_in_another_process():
    """Its arguments arrive, its requests are counted, its port closes with it."""
    with Counter.in_process("hi", name="films") as server:
        assert server.pid != os.getpid()
        assert server in running()
        assert httpx.get(server.url).json() == {"word": "hi", "count": 1}
        assert repr(server) == f"<server films, address {server.url}, requests 1>"
        pid, port = server.pid, server.port
    assert not alive(pid)
    assert not listens(port)
    assert server not in running()
    assert server.requests == 1


def test_kill_forgets_and_a_restart_comes_back_at_the_same_address():
    """Nothing in memory survives; the address does."""
    with Counter.in_process() as server:
        url = server.url
        httpx.get(url)
        server.kill()
        assert not server.running
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
        server.start()
        assert httpx.get(url).json()["count"] == 1


def test_stop_and_kill_are_idempotent():
    """In any order, also on what never ran."""
    server = Counter.in_process()
    server.kill()
    server.stop()
    with server:
        pass
    server.stop()
    server.kill()


def test_a_server_that_was_killed_from_outside_is_not_running(wait_until):
    """It is seen at once, keeps its card, and can be started again."""
    with Counter.in_process() as server:
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not server.running)
        assert server not in running()
        assert "stopped" in repr(server)
        server.start()
        assert httpx.get(server.url).json()["count"] == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Failing, "Failing did not start: LookupError: no zone file"),
        (Dying, "Dying did not start: its process ended before it served"),
    ],
)
def test_an_error_while_starting_reaches_the_caller(kind, message):
    """In the child's words; and no process is left."""
    before = children()
    server = kind.in_process()
    with pytest.raises(RuntimeError, match=message):
        server.start()
    assert not server.running
    # Where it came while the process started, another thread ends that.
    assert holds_within(lambda: children() <= before)


def test_anything_but_loopback_is_refused_before_a_process_is_started():
    """As by the server itself."""
    with pytest.raises(ValueError, match="not a loopback address"):
        Counter.in_process(host="0.0.0.0")


def test_stop_ends_a_server_whose_handler_blocks():
    """What Server.stop() can only complain about, a process makes possible."""
    with Counter.in_process() as server:
        pid = server.pid
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(server.make_url("/block"), timeout=0.3)
        server.stop(patience=0.2)
        assert not alive(pid)


def test_an_interrupt_while_starting_leaves_no_process():
    """The child that did not answer yet is ended."""
    before = children()
    server = Slow.in_process()

    def interrupt() -> None:
        while not children() - before:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        server.start()
    thread.join()
    assert not server.running
    # Where it came while the process started, another thread ends that.
    assert holds_within(lambda: children() <= before)


def test_the_pid_of_a_stopped_server_is_a_clear_error():
    """It says what to do."""
    with pytest.raises(RuntimeError, match="Counter has no process: start it"):
        _ = Counter.in_process().pid
