"""Server: one small server = one thread, one event loop, one loopback port.

A cell may block or await, and its servers go on, because none of them shares
the kernel's event loop. A handler that blocks freezes its own server and no
other, as it would in a Node.js process.

    with VideoServer() as server:
        httpx.get(server.make_url("/videos/1"))

``VideoServer.in_process()`` gives the same server as a child process, which
can be killed (see server_process.py).
"""

from __future__ import annotations

import asyncio
import atexit
import html
import ipaddress
import logging
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from aiohttp.http import HttpProcessingError

from helpers.kernel import current_cell, make_interruptible, on_cell_run

if TYPE_CHECKING:
    from helpers.server_process import ServerProcess

__all__ = ["HTTPServer", "Server", "Startable", "error_logger", "running", "stop_all"]

# The kernel drops the SYNs of a burst of connects beyond the backlog, and the
# client tries again after a whole second. asyncio's default is 100.
BACKLOG = 4096
KEPT_ERRORS = 20


class Startable(ABC):
    """What can be started and stopped, and shows itself in a notebook.

    Start and stop are idempotent, work from any thread, and are also a context
    manager, plain and async. A server that a cell started is stopped when that
    cell is run again, and when the kernel exits.
    """

    def __init__(
        self, *, name: str | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.name = name or type(self).__name__
        self.host = _loopback(host)
        self._wanted_port = port
        self._port: int | None = None
        self._cell: str | None = None

    @abstractmethod
    def start(self) -> Self: ...

    @abstractmethod
    def stop(self) -> None: ...

    @property
    @abstractmethod
    def requests(self) -> int:
        """Requests served since the start."""

    @property
    def running(self) -> bool:
        return self._port is not None

    @property
    def port(self) -> int:
        """The port it listens on. Raises RuntimeError when it does not run."""
        if self._port is None:
            raise RuntimeError(f"{self.name} does not run: start it, or use `with`")
        return self._port

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def make_url(self, path: str) -> str:
        """The address of ``path``, which starts with a slash."""
        if not path.startswith("/"):
            raise ValueError(f"a path starts with a slash, this one does not: {path!r}")
        return self.url + path

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        starting = asyncio.create_task(asyncio.to_thread(self.start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread can not be cancelled: let it give up, and leave nothing behind.
            self._give_up_starting()
            await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is None:
                await asyncio.to_thread(self.stop)
            raise

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def _remember(self, port: int) -> None:
        """Called by start(), once it serves."""
        # A restart comes back at the same address, so that clients find it.
        self._port = self._wanted_port = port
        self._cell = current_cell()
        _registry.add(self)

    def _forget(self) -> None:
        """Called by stop()."""
        self._port = self._cell = None
        _registry.discard(self)

    def _give_up_starting(self) -> None:  # noqa: B027 - not all can
        """Let a start() on another thread end soon, where there is a way."""

    def _card(self) -> dict[str, str]:
        state = self.url if self.running else "stopped"
        return {"server": self.name, "address": state, "requests": str(self.requests)}

    def __repr__(self) -> str:
        return f"<{', '.join(f'{key} {value}' for key, value in self._card().items())}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<span style='opacity:.7'>{key}</span><span>{html.escape(value)}</span>"
            for key, value in self._card().items()
        )
        return (
            "<div style='display:inline-grid;grid-template-columns:auto auto;"
            "gap:.1em 1em;padding:.5em 1em;border:1px solid #8888;"
            f"border-radius:.4em'>{rows}</div>"
        )


class Server(Startable):
    """A server on a thread and an event loop of its own.

    Subclasses write :meth:`open` and :meth:`close`; both run on the server's loop.

    Raises ValueError when ``host`` is not a loopback address. ``port`` 0 lets the
    system choose.
    """

    def __init__(
        self, *, name: str | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        super().__init__(name=name, host=host, port=port)
        self.errors: deque[BaseException] = deque(maxlen=KEPT_ERRORS)
        self._requests = 0
        self._life: _Life | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()

    @abstractmethod
    async def open(self, host: str, port: int) -> int:
        """Listen on ``host`` and ``port``; return the port once it is ready."""

    @abstractmethod
    async def close(self) -> None:
        """Release all that :meth:`open` took; also after it failed half-way."""

    @classmethod
    def in_process(cls, *args: Any, **kwargs: Any) -> ServerProcess:
        """The same server as a child process, with ``kill()``. Not started yet."""
        from helpers.server_process import ServerProcess

        return ServerProcess(cls, *args, **kwargs)

    @property
    def requests(self) -> int:
        return self._requests

    def start(self) -> Self:
        """Serve; returns once it is ready, or raises what went wrong in open().

        Raises RuntimeError while a handler still blocks the loop that stop() ended.
        """
        make_interruptible()
        with self._lock:
            if self.running:
                return self
            if self._thread is not None and self._thread.is_alive():
                raise RuntimeError(f"{self.name} can not start: {self._blocked()}")
            self.errors.clear()
            self._requests = 0
            self._life = life = _Life()
            self._thread = threading.Thread(
                target=lambda: asyncio.run(self._run(life)),
                name=f"server {self.name}",
                daemon=True,
            )
            try:
                self._thread.start()
                life.ready.wait()
            except BaseException:  # a kernel interrupt
                life.end()
                raise
            if life.error is not None:
                self._thread.join()
                raise life.error
            self._remember(life.port)
        return self

    def stop(self, *, patience: float = 5.0) -> None:
        """Close the port and end the thread. Idempotent.

        Raises RuntimeError when a handler blocks the loop for longer than
        ``patience`` seconds.
        """
        with self._lock:
            if not self.running:
                return
            self._forget()
            self._life.end()
            self._thread.join(timeout=patience)
            if self._thread.is_alive():
                raise RuntimeError(
                    f"{self.name} did not stop within {patience:g} s: {self._blocked()}"
                )
            for error in self.errors:
                print(f"{self.name} caught {error!r}", file=sys.stderr)

    def _give_up_starting(self) -> None:
        if self._life is not None:
            self._life.end()

    def _blocked(self) -> str:
        return (
            "a handler blocks its loop. The port closes when that handler returns, "
            "or with the kernel; let it `await`, or use `in_process()` and `kill()`"
        )

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Run ``callback(*args)`` on the server's loop, from any thread."""
        if self._life is not None:
            self._life.call_soon(callback, *args)

    async def _run(self, life: _Life) -> None:
        life.begin()
        asyncio.get_running_loop().set_exception_handler(self._keep_loop_error)
        try:
            life.port = await self.open(self.host, self._wanted_port)
            life.ready.set()
            await asyncio.Event().wait()  # until end() cancels this task
        except BaseException as error:
            life.error = error
        finally:
            await self._close_whatever_happens()
            life.ready.set()

    async def _close_whatever_happens(self) -> None:
        try:
            await self.close()
        except Exception as error:
            self.keep_error(error)

    def keep_error(self, error: BaseException) -> None:
        """Keep what a handler raised, to be shown on the card and at stop."""
        self.errors.append(error)

    def _keep_loop_error(self, _: object, context: dict[str, Any]) -> None:
        self.keep_error(context.get("exception") or RuntimeError(context["message"]))

    def _card(self) -> dict[str, str]:
        card = super()._card()
        if self.errors:
            card["last error"] = repr(self.errors[-1])
        return card


class _Life:
    """From one start to its end: what a server's thread and its owner share."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.port = 0
        self.error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task | None = None
        self._ended = False

    def begin(self) -> None:
        """On the server's thread, first of all."""
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._ended:  # by an interrupt, before the loop was there to hear of it
            self._task.cancel()

    def end(self) -> None:
        """From any thread: cancel what goes on, be it open() or serving."""
        self._ended = True
        self.call_soon(lambda: self._task.cancel())

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop has closed
            pass


class HTTPServer(Server):
    """A server for the routes of an aiohttp application.

    Subclasses write :meth:`routes`, and may extend :meth:`make_app`. A handler's
    exception becomes a 500 and is kept in ``errors``.

    ``max_body`` bounds a request's body in bytes when a handler reads it whole;
    ``idle`` is how long, in seconds, a connection may sit without a whole request
    head before it is closed, so that a client that sends a byte a second can not
    hold one for ever.
    """

    max_body = 1024 * 1024
    idle = 30.0

    _runner: web.AppRunner | None = None

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """The routes, for example ``[web.get("/", self.hello)]``."""
        return []

    def make_app(self) -> web.Application:
        app = web.Application(client_max_size=self.max_body)
        app.add_routes(self.routes())
        return app

    async def open(self, host: str, port: int) -> int:
        self._runner = web.AppRunner(
            self.make_app(),
            access_log=None,
            # What does not parse is its client's fault, and was answered by a 400.
            logger=error_logger(
                self.name, self.keep_error, but_not=(HttpProcessingError,)
            ),
            keepalive_timeout=self.idle,
            shutdown_timeout=0.1,
            handler_cancellation=True,
        )
        await self._runner.setup()
        await web.TCPSite(
            self._runner, host, port, backlog=BACKLOG, reuse_address=True
        ).start()
        return self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            self._requests = self.requests
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @property
    def requests(self) -> int:
        runner = self._runner  # read once: close() may run meanwhile
        served = runner and runner.server
        return served.requests_count if served else self._requests


def error_logger(
    name: str,
    keep_error: Callable[[BaseException], None],
    *,
    but_not: tuple[type[BaseException], ...] = (),
) -> logging.Logger:
    """A logger for a library that reports a handler's exceptions to one: keeps them."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info and record.exc_info[1]
            if error is not None and not isinstance(error, but_not):
                keep_error(error)

    logger = logging.Logger(name, level=logging.ERROR)
    logger.addHandler(Keep())
    return logger


def _loopback(host: str) -> str:
    """The address itself; ``localhost`` may be two, with a port each."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            f"{host!r} is not a loopback address: the workbook's servers are for this "
            "machine only, so use 127.0.0.1 or ::1"
        )
    return host


# -- what runs in this kernel ------------------------------------------------------

_registry: set[Startable] = set()


def running() -> list[Startable]:
    """All servers, links and engines that run in this kernel now, by name."""
    alive = [server for server in _registry.copy() if server.running]
    return sorted(alive, key=lambda server: server.name)


def stop_all() -> None:
    """Stop all that runs in this kernel."""
    _stop(_registry.copy())


def _stop(servers: Iterable[Startable]) -> None:
    for server in servers:
        try:
            server.stop()
        except Exception as error:  # one that will not stop must not keep others
            print(error, file=sys.stderr)


def _stop_servers_of(cell: str) -> None:
    _stop([server for server in _registry.copy() if server._cell == cell])


atexit.register(stop_all)
on_cell_run(_stop_servers_of)
make_interruptible()
