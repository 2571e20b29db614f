"""The house of lab 3b: the learner's room while it runs, and the guests in it.

Room and guests share one event loop. So time can be counted in turns of that loop: on
a busy machine they are slow together, and nobody is called silent who had no turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import socket
import time
import traceback
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed

from labs.checks.room_guests import Guest

__all__ = [
    "BEAT",
    "House",
    "Lateness",
    "RunRoom",
    "Trouble",
    "house",
    "tasks_left",
    "until",
]

BEAT = 0.01  # seconds from one look to the next
# So many looks in a row at which nothing has moved: then nothing will. What is on
# its way needs a few turns of the loop.
PATIENCE = 300
# So many, once its guests are gone: then it has nothing to wait for any more.
FEW = 30
# Small, so that what a guest does not read waits in the room, and not in the kernel.
KERNEL_BUFFER = 8 * 1024  # bytes
SEGMENT = 536  # bytes; for large ones the kernel adds to the buffer by itself

RunRoom = Callable[[socket.socket, float], Any]


class Trouble(Exception):
    """The visit can not go on. The message is for the learner."""


async def until(
    condition: Callable[[], object],
    *,
    moves: Callable[[], object] = lambda: None,
    beats: int = PATIENCE,
) -> bool:
    """Wait until ``condition()``; False once ``moves()`` stood still for ``beats``."""
    before, still = moves(), 0
    while not condition():
        if still >= beats:
            return False
        await asyncio.sleep(BEAT)
        now = moves()
        still = still + 1 if now == before else 0
        before = now
    return True


class House:
    """The learner's room while it runs, and the guests in it."""

    def __init__(self, run_room: RunRoom, patience: float) -> None:
        self.patience = patience
        self.guests: list[Guest] = []
        self.failures = _Failures()
        asyncio.get_running_loop().set_exception_handler(self.failures.hear_of_task)
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Connections inherit it.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        self.address = self._listener.getsockname()
        self.running = asyncio.create_task(run_room(self._listener, patience))

    async def enter(self, *names: str, reads: bool = True) -> list[Guest]:
        """A guest for each name, who was told who is in the room.

        Whoever does not read yet was told nothing either.
        """
        guests = []
        for name in names:
            guest = Guest(name, reads=reads)
            self.guests.append(guest)
            guests.append(guest)
            await self._connect(guest)
            if reads and not await self.until(lambda: guest.members or guest.went):  # noqa: B023
                raise Trouble(
                    f"{name} came in, and was not told who is in the room: send the "
                    f'list ({{"type": "members", ...}}) to all whenever it changes.'
                    f"{_also(guest.strange)}"
                )
            if guest.thrown_out:
                raise Trouble(await self._why_thrown_out(guest))
        return guests

    async def _why_thrown_out(self, guest: Guest) -> str:
        """Of one that has just come in, and has done nothing wrong."""
        await self.hear_of_failures()
        why = (
            "Most likely your handler returned, which closes the connection, or it "
            "raised; see the requirements above."
        )
        # Its own connection was well: ConnectionClosed is about another one.
        if error := self.failures.of.get(guest.address):
            why = f"Its handler raised {error}."
        return f"{guest.name} came in, and the room ended the connection. {why}"

    async def hear_of_failures(self) -> None:
        """The library closes the connection of a handler that failed, then it logs."""
        out = [g for g in self.guests if g.thrown_out and g.close_code in (None, 1011)]
        await until(lambda: all(g.address in self.failures.of for g in out), beats=FEW)

    async def _connect(self, guest: Guest) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        # Before connect(), or the window that the kernel offers stays large.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
        with contextlib.suppress(OSError, AttributeError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(connection, self.address)
        except OSError as error:
            connection.close()
            raise Trouble("Nobody listens on the socket that it was given.") from error
        await loop.create_connection(lambda: guest, sock=connection)
        if not await self.until(lambda: guest.is_in or guest.went):
            raise Trouble(
                "A client connected, and nobody answered its handshake: "
                "`async with serve(handler, sock=sock)`, and then wait in it."
            )

    async def until(self, condition: Callable[[], object], **more: Any) -> bool:
        """As :func:`until`; raises what ended the room, if that is not there any more.

        Raises NotImplementedError when it is not written yet.
        """
        done = await until(
            lambda: condition() or self.running.done() or self.failures.is_stub, **more
        )
        if self.failures.is_stub:
            raise NotImplementedError
        if self.running.done():
            await self.running
            raise Trouble("run_room() returned, and nobody had cancelled it.")
        return done

    async def all_hear(self, guests: Collection[Guest], count: int) -> bool:
        """Whether all these have heard ``count`` messages; False when nothing moves."""

        def heard() -> int:
            return sum(len(guest.heard) for guest in guests)

        return await self.until(
            lambda: all(len(g.heard) >= count or g.went for g in guests), moves=heard
        )

    def stays(self) -> list[tuple[str, float, float, str]]:
        """Who was there from when to when, and how that ended."""
        now = time.monotonic()
        return [(g.name, g.came, g.went or now, g.end) for g in self.guests]

    async def close(self) -> None:
        """End it, whether it wants or not. What it raised is of no interest here."""
        self.failures.is_over = True
        for guest in self.guests:
            if guest.went is None:
                guest.cut()
        await until(lambda: all(guest.went for guest in self.guests), beats=10)
        self.running.cancel()
        await until(self.running.done, beats=FEW)
        await until(lambda: not tasks_left(), beats=10)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            _silence(task)
        await asyncio.wait([self.running])
        if not self.running.cancelled():
            self.running.exception()  # or asyncio tells of that, too
        self._listener.close()
        del self.running  # its error has held the room, and all that is in it
        gc.collect()  # of a task that failed asyncio tells when it is forgotten
        self.failures.close()


class Lateness:
    """How late the event loop was at worst, in seconds, for what was due."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def __aenter__(self) -> Lateness:
        self._beat(time.monotonic())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._next.cancel()

    def _beat(self, due: float) -> None:
        now = time.monotonic()
        self.worst = max(self.worst, now - due)
        loop = asyncio.get_running_loop()
        self._next = loop.call_later(BEAT, self._beat, now + BEAT)


def tasks_left() -> list[asyncio.Task]:
    """All but the one that asks, and those that Python itself cleans up."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return [task for task in others if inspect.iscoroutine(task.get_coro())]


def _silence(task: asyncio.Task) -> None:
    """For one that does not mind cancel(): close its coroutine under it."""
    with contextlib.suppress(RuntimeError, ValueError):
        task.get_coro().close()
    task.cancel()


def _also(strange: list[str]) -> str:
    return f" What came was {strange[0]}" if strange else ""


class _Failures(logging.Handler):
    """What went wrong in a handler or a task, which nobody else is told.

    The library tells its log, and asyncio what handles exceptions of its loop.
    ``last`` is the last failure of the room. ``of`` has what each handler raised, by
    the address of its client, also that a connection is closed.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""
        self.of: dict[tuple[str, int], str] = {}
        self.is_stub = False
        self.is_over = False  # a handler that fails when all is cut is no wonder
        self._logger = logging.getLogger("websockets.server")
        self._logger.addHandler(self)
        self._logger.propagate = False

    def close(self) -> None:
        self._logger.removeHandler(self)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.is_stub = self.is_stub or isinstance(error, NotImplementedError)
        if error is None or self.is_over:
            return
        if not isinstance(error, ConnectionClosed):  # that is no failure of the room
            self.last = _told(error)
        if hasattr(record, "websocket"):
            self.of[record.websocket.remote_address] = _told(error)

    def hear_of_task(
        self, _: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        """For set_exception_handler(); drops what is not from the room's own code."""
        error = context.get("exception")
        if error is None or isinstance(error, ConnectionClosed) or not _where(error):
            return
        self.last = self.last or _told(error)


def _told(error: BaseException) -> str:
    text = str(error).rstrip(".")
    return f"{type(error).__name__}{text and ': '}{text}{_where(error)}"


def _where(error: BaseException) -> str:
    """The last line of the learner's own on the way to the error."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename
        and not frame.filename.startswith(str(Path(asyncio.__file__).parents[1]))
    ]
    return f" (line {own[-1].lineno}, in {own[-1].name})" if own else ""


@contextlib.asynccontextmanager
async def house(run_room: RunRoom, patience: float) -> AsyncIterator[House]:
    """The room, running; ended afterwards, with all its guests."""
    here = House(run_room, patience)
    try:
        yield here
    finally:
        await here.close()
