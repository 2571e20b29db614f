"""Three servers for the same handler, which differ in how they wait.

    def handler(path: str) -> str              # holds its thread while it waits
    async def async_handler(path: str) -> str  # awaits, and holds nothing

    SyncServer(handler)                    # one thread: accept, answer, then the next
    ThreadedServer(handler, threads=50)    # accept, and let one of 50 threads answer
    AsyncServer(async_handler)             # one thread, and a coroutine a connection

Each answers one request a connection (``Connection: close``), in plain HTTP/1.1 from
one_request.py, so that nothing but their concurrency differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import queue
import socket
import threading
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import perf_counter
from typing import NamedTuple

from helpers.server import BACKLOG, Server
from helpers.servers.one_request import (
    Refused,
    make_response,
    receive_path,
    receive_path_async,
    turn_away,
    turn_away_async,
)

__all__ = ["AsyncServer", "Handled", "SyncServer", "ThreadedServer"]

KEPT = 10_000  # requests that a server remembers


class Handled(NamedTuple):
    """One request, by ``time.perf_counter``: when its handler began and returned."""

    path: str
    started: float
    ended: float


class _HandlerServer(Server):
    """Accepts connections on the server's loop; a subclass says who answers them."""

    idle: float
    """Seconds that a client has for its request, and again to take the answer."""

    def __init__(self, handler: Callable, **server: object) -> None:
        super().__init__(**server)
        self.handler = handler
        self.threads = 1
        """The threads that answer."""
        self.handled: list[Handled] = []
        """The last 10,000 requests, in the order in which their handlers ended."""
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task | None = None
        self._noting = threading.Lock()

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Answer this connection, or see to it that somebody does."""

    async def open(self, host: str, port: int) -> int:
        self.handled = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server(
            (host, port), family=family, backlog=BACKLOG
        )
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())
        return self._listener.getsockname()[1]

    async def close(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        if self._listener is not None:
            self._listener.close()  # resets those who still wait to be accepted

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:  # too many open files: the others must wait
                self.keep_error(error)
                await asyncio.sleep(0.1)
                continue
            self.serve(connection)
            await asyncio.sleep(0)  # let stop() and others on the loop have a turn

    def _note(self, path: str, started: float) -> None:
        with self._noting:
            self._requests += 1
            self.handled.append(Handled(path, started, perf_counter()))
            del self.handled[:-KEPT]

    def _failed(self, error: Exception) -> bytes:
        self.keep_error(error)
        text = f"the handler raised {type(error).__name__}"
        return make_response(text, HTTPStatus.INTERNAL_SERVER_ERROR)


class SyncServer(_HandlerServer):
    """One thread, which answers a request before it accepts the next.

    Whoever comes meanwhile waits in the kernel's accept queue, 4,096 at most. So one
    client that connects and says nothing holds up all others for ``idle`` seconds:
    such is the nature of this server, and why its patience is short.

    Raises TypeError when ``handler`` is async.
    """

    idle = 3.0

    def __init__(self, handler: Callable[[str], str], **server: object) -> None:
        _check_handler(handler, is_async=False, server=type(self).__name__)
        super().__init__(handler, **server)

    def serve(self, connection: socket.socket) -> None:
        self.answer(connection)

    def answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the client left
            try:
                path = receive_path(connection, self.idle)
            except Refused as refused:
                turn_away(connection, refused)
                return
            started = perf_counter()
            try:
                response = make_response(self.handler(path))
            except Exception as error:
                response = self._failed(error)
            self._note(path, started)
            connection.settimeout(self.idle)
            connection.sendall(response)


class ThreadedServer(SyncServer):
    """``threads`` threads, which each answer one request at a time.

    Whoever finds none of them free waits in a queue, first come, first served; the
    system's limit of open files bounds it. A client that says nothing holds a thread
    for ``idle`` seconds.

    Raises TypeError when ``handler`` is async, ValueError when ``threads`` is not a
    whole number from 1.
    """

    def __init__(
        self, handler: Callable[[str], str], threads: int = 50, **server: object
    ) -> None:
        super().__init__(handler, **server)
        if not isinstance(threads, int) or threads < 1:
            raise ValueError(f"threads must be a whole number from 1, not {threads!r}")
        self.threads = threads
        self._queue: queue.SimpleQueue[socket.socket | None] = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """Connections that wait for a thread."""
        return self._queue.qsize()

    def serve(self, connection: socket.socket) -> None:
        self._queue.put(connection)

    def _work(self, connections: queue.SimpleQueue) -> None:
        while (connection := connections.get()) is not None:
            self.answer(connection)

    async def open(self, host: str, port: int) -> int:
        self._queue = queue.SimpleQueue()
        self._workers = []
        for number in range(1, self.threads + 1):
            worker = threading.Thread(
                target=self._work,
                args=[self._queue],
                name=f"server {self.name}, thread {number}",
                daemon=True,
            )
            worker.start()
            self._workers.append(worker)
        return await super().open(host, port)

    async def close(self) -> None:
        await super().close()
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait().close()
        for _ in self._workers:
            self._queue.put(None)

    def stop(self, *, patience: float = 5.0) -> None:
        """Close the port and end the threads. Idempotent.

        Raises RuntimeError when handlers hold threads for longer than ``patience``
        seconds: nothing can interrupt a thread. They end with their handlers, or
        with the kernel.
        """
        deadline = time.monotonic() + patience
        super().stop(patience=patience)
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        stuck = sum(worker.is_alive() for worker in self._workers)
        if stuck:
            raise RuntimeError(
                f"{self.name} did not stop within {patience:g} s: {stuck} of its "
                f"{self.threads} threads are still in a handler, and end when it "
                "returns, or with the kernel"
            )


class AsyncServer(_HandlerServer):
    """One thread, one event loop, and a coroutine for each connection.

    All of them wait at once, and none holds a thread meanwhile: a silent client costs
    a socket, so the patience may be long. But a handler that blocks freezes them all.

    Raises TypeError when ``handler`` is not async.
    """

    idle = 30.0

    def __init__(
        self, handler: Callable[[str], Awaitable[str]], **server: object
    ) -> None:
        _check_handler(handler, is_async=True, server=type(self).__name__)
        super().__init__(handler, **server)

    def serve(self, connection: socket.socket) -> None:
        self._answering.create_task(self.answer(connection))

    async def answer(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with connection, contextlib.suppress(OSError):  # the client left
            try:
                path = await receive_path_async(connection, self.idle)
            except Refused as refused:
                await turn_away_async(connection, refused)
                return
            started = perf_counter()
            try:
                response = make_response(await self.handler(path))
            except Exception as error:
                response = self._failed(error)
            self._note(path, started)
            async with asyncio.timeout(self.idle):
                await loop.sock_sendall(connection, response)

    async def _accept(self) -> None:
        # The end of the group cancels the coroutines that still answer.
        async with asyncio.TaskGroup() as self._answering:
            await super()._accept()


def _check_handler(handler: Callable, *, is_async: bool, server: str) -> None:
    if not callable(handler):
        raise TypeError(f"a handler is a function of the path, not {handler!r}")
    name = getattr(handler, "__name__", repr(handler))
    found = any(map(inspect.iscoroutinefunction, (handler, type(handler).__call__)))
    if found and not is_async:
        raise TypeError(
            f"{name} is async, and {server} has no way to await it: "
            "give it a plain function, or take AsyncServer"
        )
    if is_async and not found:
        raise TypeError(
            f"{name} is not async, and would freeze all other requests of {server} "
            "while it waits: write `async def`, or take ThreadedServer"
        )
