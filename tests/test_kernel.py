"""helpers/kernel.py, in a real Jupyter kernel: cells, interrupts, and its death."""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from collections.abc import Iterator

import psutil
import pytest
from jupyter_client import KernelManager

from helpers import kernel

PATIENCE = 60.0  # seconds until a kernel that should have answered fails its test

SETUP = """
import asyncio, os, threading, time
import httpx
from aiohttp import web
from helpers.server import HTTPServer, running, stop_all

class Hello(HTTPServer):
    def routes(self):
        return [web.get("/", self.hello), web.get("/slow", self.slow)]

    async def hello(self, request):
        return web.Response(text="hello")

    async def slow(self, request):
        await asyncio.sleep(60)
        return web.Response()

class Slow(HTTPServer):
    async def open(self, host, port):
        print("begun", flush=True)
        await asyncio.sleep(60)
"""


class Kernel:
    """A kernel of its own, and a client that runs cells in it as JupyterLab does."""

    def __init__(self, time_unit: float) -> None:
        self.patience = PATIENCE * time_unit
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=self.patience)
        self.run(SETUP)

    @property
    def pid(self) -> int:
        return self.manager.provisioner.pid

    def send(self, code: str, cell: str | None = None) -> str:
        """Run a cell; ``cell`` is the id that JupyterLab gives it."""
        message = self.client.session.msg(
            "execute_request",
            # An error must not abort the cell that a test sends next.
            {"code": code, "silent": False, "stop_on_error": False},
            metadata={"cellId": cell} if cell else {},
        )
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def printed(self, request: str) -> str:
        """The next thing that the cell printed."""
        while True:
            message = self.client.get_iopub_msg(timeout=self.patience)
            mine = message["parent_header"].get("msg_id") == request
            if mine and message["msg_type"] == "stream":
                return message["content"]["text"]

    def end_of(self, request: str, patience: float | None = None) -> dict:
        """The reply to a cell: how it ended."""
        while True:
            reply = self.client.get_shell_msg(timeout=patience or self.patience)
            if reply["parent_header"].get("msg_id") == request:
                return reply["content"]

    def run(self, code: str, cell: str | None = None) -> str:
        """Run a cell that succeeds, and return all that it printed."""
        request = self.send(code, cell)
        reply = self.end_of(request)
        assert reply["status"] == "ok", "\n".join(reply["traceback"])
        return self.all_printed(request).strip()

    def all_printed(self, request: str) -> str:
        """What the cell printed: a line may come in several messages."""
        text = ""
        while True:
            message = self.client.get_iopub_msg(timeout=self.patience)
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                text += content["text"]
            elif content.get("execution_state") == "idle":
                return text

    def interrupted(self, code: str, cell: str | None = None) -> tuple[dict, float]:
        """Interrupt a cell once it printed; how it ended, and after how long."""
        request = self.send(code, cell)
        self.printed(request)
        begun = time.monotonic()
        while True:
            self.manager.interrupt_kernel()
            with contextlib.suppress(queue.Empty):
                return self.end_of(request, patience=5), time.monotonic() - begun
            # One that comes while the cell's print is being flushed is lost in
            # ipykernel. A learner presses the button once more, and so do we.

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def shared(time_unit) -> Iterator[Kernel]:
    kernel = Kernel(time_unit)
    yield kernel
    kernel.close()


@pytest.fixture
def notebook(shared) -> Iterator[Kernel]:
    """The same kernel for each test, with nothing that runs in it."""
    yield shared
    shared.run("stop_all()")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# -- cells ---------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["3f2a", None], ids=["JupyterLab", "without cell ids"])
def test_a_cell_run_twice_leaves_one_server(notebook, cell):
    """The server of the first run is stopped before the second run starts its own."""
    code = "server = Hello().start()"
    for _ in range(3):
        notebook.run(code, cell)
    assert notebook.run("print(len(running()), httpx.get(server.url).text)") == (
        "1 hello"
    )


def test_an_edited_cell_run_again_leaves_one_server(notebook):
    """JupyterLab's cell id tells that it is the same cell."""
    notebook.run("a = Hello(name='first').start()", "cell")
    notebook.run("b = Hello(name='second').start()", "cell")
    assert notebook.run("print(running())").count("second") == 1
    assert notebook.run("print(len(running()), a.running)") == "1 False"


def test_another_cell_leaves_the_server_alone(notebook):
    """Only the cell that started it stops it."""
    notebook.run("a = Hello(name='a').start()", "one")
    notebook.run("b = Hello(name='b').start()", "two")
    assert notebook.run("print([s.name for s in running()])") == "['a', 'b']"


def test_a_server_that_async_code_started_belongs_to_its_cell(notebook):
    """`async with` starts it on another thread, which knows the cell as well."""
    code = "server = await Hello().__aenter__()"
    notebook.run(code, "cell")
    notebook.run(code, "cell")
    assert notebook.run("print(len(running()))") == "1"


def test_a_server_of_a_failed_cell_stops_when_it_is_run_again(notebook):
    """Also when the error came after the start."""
    code = "Hello().start(); raise LookupError"
    for _ in range(2):
        assert notebook.end_of(notebook.send(code, "cell"))["ename"] == "LookupError"
    assert notebook.run("print(len(running()))") == "1"


def test_blocking_and_awaiting_clients_both_work(notebook):
    """The server's loop is not the kernel's, so nobody waits for himself."""
    code = """
with Hello() as server:
    async with httpx.AsyncClient() as client:
        print(httpx.get(server.url).text, (await client.get(server.url)).text)
"""
    assert notebook.run(code) == "hello hello"


# -- interrupts ----------------------------------------------------------------------

AWAITING = "print('begun', flush=True); await asyncio.sleep(60)"
BLOCKING = {
    "time.sleep": "print('begun', flush=True); time.sleep(60)",
    "while True": "print('begun', flush=True)\nwhile True: pass",
    "httpx": "print('begun', flush=True); httpx.get(server.make_url('/slow'))",
}


def test_an_awaiting_cell_is_interrupted_at_once(notebook):
    """Not when its sleep of 60 s is over; and the server answers right after."""
    notebook.run("server = Hello().start()")
    reply, took = notebook.interrupted(AWAITING)
    assert reply["status"] == "error"
    assert reply["ename"] in ("CancelledError", "KeyboardInterrupt")
    assert took < 30
    assert notebook.run("print(httpx.get(server.url).text)") == "hello"


@pytest.mark.parametrize("code", BLOCKING.values(), ids=BLOCKING)
def test_a_blocking_cell_is_interrupted_and_the_server_answers(notebook, code):
    """KeyboardInterrupt hits the cell, not the server's thread."""
    notebook.run("server = Hello().start()")
    reply, took = notebook.interrupted(code)
    assert reply["ename"] == "KeyboardInterrupt"
    assert took < 30
    assert notebook.run("print(httpx.get(server.url).text)") == "hello"


def test_a_server_process_survives_an_interrupt(notebook):
    """The interrupt goes to the kernel's process group; the child is in its own."""
    notebook.run("server = Hello.in_process().start(); pid = server.pid")
    notebook.interrupted(BLOCKING["time.sleep"])
    answer = "print(httpx.get(server.url).text, server.pid == pid)"
    assert notebook.run(answer) == "hello True"


@pytest.mark.parametrize(
    "code", ["Slow().start()", "async with Slow(): pass"], ids=["start", "async with"]
)
def test_an_interrupt_while_starting_leaves_nothing(notebook, code):
    """No server, no thread, and at once."""
    reply, took = notebook.interrupted(code)
    assert reply["ename"] in ("CancelledError", "KeyboardInterrupt")
    assert took < 30
    threads = "[t for t in threading.enumerate() if t.name == 'server Slow']"
    wait = f"[t.join(30) for t in {threads}]"
    assert notebook.run(f"{wait}; print(running(), {threads})") == "[] []"


# -- death ---------------------------------------------------------------------------


def test_nothing_outlives_a_killed_kernel(time_unit, wait_until):
    """Two seconds after SIGKILL there is neither a child process nor a port."""
    notebook = Kernel(time_unit)
    try:
        notebook.run("a = Hello().start(); b = Hello.in_process().start()")
        notebook.run("from helpers import child; c = child.spawn(['sleep', '600'])")
        notebook.run("from helpers.network import Link; link = Link(b).start()")
        ports = notebook.run("print(a.port, b.port, link.port)").split()
        family = psutil.Process(notebook.pid).children(recursive=True)
        assert len(family) == 2
        assert all(listens(int(port)) for port in ports)
        psutil.Process(notebook.pid).kill()
        gone = [process.is_running for process in family]
        wait_until(lambda: not any(alive() for alive in gone), patience=2)
        wait_until(lambda: not any(listens(int(p)) for p in ports), patience=2)
    finally:
        notebook.close()


# -- outside of a notebook -----------------------------------------------------------


def test_outside_of_a_notebook_nothing_happens():
    """Tests and child processes run the same code."""
    assert kernel.current_cell() is None
    kernel.on_cell_run(lambda key: pytest.fail("no cell ran"))
    kernel.make_interruptible()
