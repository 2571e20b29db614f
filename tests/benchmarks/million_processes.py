"""The processes that hold a million connections: one server and one client each.

They are forked, so that the interpreter is in memory once. Each answers its questions
on a pipe, one after the other, and ends when its parent ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

import psutil
import uvloop

from helpers.child import PR_SET_PDEATHSIG
from helpers.measure.connections import IdleConnections, room_for_descriptors
from helpers.servers.lean_base import LeanWebSockets
from helpers.servers.lean_protocol import Opcode, frame

STEP = 512  # connections between two words about progress
PATIENCE = 120.0  # seconds that one connection may take while a million come

_fork = multiprocessing.get_context("fork")


class Worker:
    """A forked process that answers questions: ``worker.ask("memory")``."""

    def __init__(self, main: Callable[..., None], *args: Any) -> None:
        self.pipe, theirs = _fork.Pipe()
        self._process = _fork.Process(
            target=_run, args=(main, theirs, os.getpid(), args), daemon=True
        )
        self._process.start()
        theirs.close()

    def tell(self, question: str, *args: Any) -> None:
        self.pipe.send((question, args))

    def answer(self) -> Any:
        """The next answer. Raises RuntimeError with what the worker met."""
        try:
            good, answer = self.pipe.recv()
        except EOFError:
            good, answer = False, "a process ended before it answered"
        if not good:
            raise RuntimeError(answer)
        return answer

    def ask(self, question: str, *args: Any) -> Any:
        self.tell(question, *args)
        return self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self.pipe.close()


def _run(main: Callable[..., None], pipe: Connection, parent: int, args: tuple) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's part
    gc.freeze()  # a collection would write to all pages that are shared until then
    try:
        main(pipe, *args)
    except (EOFError, BrokenPipeError):  # the parent is gone
        pass
    except Exception as error:
        pipe.send((False, f"{type(error).__name__}: {error}"))


def memory() -> int:
    """This process's proportional set size: what is shared counts in parts."""
    return psutil.Process().memory_full_info().pss


# -- a server --------------------------------------------------------------------------


def serve(pipe: Connection, kind: type[LeanWebSockets], share: int) -> None:
    with room_for_descriptors(share):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(pipe, kind))


async def _serve(pipe: Connection, kind: type[LeanWebSockets]) -> None:
    # Nobody should be asked by keep-alive while it is measured, nor be cut off.
    server = kind(patience=PATIENCE, keepalive=3600)
    port = await server.open("127.0.0.1", 0)
    answers: dict[str, Callable[..., object]] = {
        "port": lambda: port,
        "connections": lambda: server.connections,
        "memory": memory,
        "broadcast": lambda text: server.send_to_all(frame(Opcode.TEXT, text)),
    }
    over = asyncio.Event()

    def answer() -> None:
        try:
            question, args = pipe.recv()
            pipe.send((True, answers[question](*args)))
        except EOFError:
            over.set()

    asyncio.get_running_loop().add_reader(pipe.fileno(), answer)
    await over.wait()


# -- a client --------------------------------------------------------------------------


def hold(pipe: Connection, port: int, sources: list[str], share: int) -> None:
    with room_for_descriptors(share):
        client = _Client(pipe, port, sources)
        while True:
            question, args = pipe.recv()
            pipe.send((True, getattr(client, question)(*args)))


class _Client:
    """Connections to one port, from several addresses."""

    def __init__(self, pipe: Connection, port: int, sources: list[str]) -> None:
        self.pipe = pipe
        self.crowds = [
            IdleConnections(port, source=source, patience=PATIENCE)
            for source in sources
        ]

    def open(self, count: int) -> str | None:
        """Tells how many more there are, again and again; then None, or what failed."""
        while count > 0:
            crowd = min(self.crowds, key=len)
            try:
                crowd.open(min(count, STEP))
            except OSError as error:
                return f"{type(error).__name__}: {error}"
            self.pipe.send((True, min(count, STEP)))
            count -= STEP
        return None

    def echo(self, every: int) -> tuple[int, int]:
        """How many of a sample were asked, and how many echoed."""
        asked = echoed = 0
        for crowd in self.crowds:
            sample = range(0, len(crowd), every)
            asked += len(sample)
            echoed += crowd.echo(b"are you there?", sample)
        return asked, echoed

    def hear(self, text: bytes) -> tuple[int, float]:
        """How many heard it, and when the last did by a clock that all share."""
        return sum(crowd.hear(text) for crowd in self.crowds), time.monotonic()

    def memory(self) -> int:
        return memory()

    def close(self) -> None:
        for crowd in self.crowds:
            crowd.close()
