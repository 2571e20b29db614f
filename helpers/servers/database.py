"""A stand-in for a database: it answers each query after the time that it takes.

What an experiment needs of a database are its waiting times and its limit, and both
are here without one: every query holds one of ``workers`` for its time, and those
that find no worker free wait in line. PostgreSQL in helpers/engines offers the same
:class:`Queries`, so that an experiment runs with either.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Database", "Queries"]


class Queries(Protocol):
    """What a handler asks: a query that takes so many seconds, in either style."""

    name: str
    """What answers, for the caption of a figure."""

    @property
    def peak(self) -> int:
        """The most queries that ever ran at once."""

    def query(self, seconds: float) -> str:
        """Ask, and hold this thread until the answer is there."""

    async def query_async(self, seconds: float) -> str:
        """Ask, and let the event loop go on until the answer is there."""


class Database:
    """Runs at most ``workers`` queries at once; None: as many as are asked.

    Those beyond wait in the order in which they came, be they from threads or from
    coroutines, on whichever event loop. A query that is cancelled, or interrupted,
    frees its worker or leaves the line at once.

    Raises ValueError when ``workers`` is not a whole number from 1.
    """

    name = "stand-in, in this kernel"

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and (not isinstance(workers, int) or workers < 1):
            raise ValueError(
                f"workers must be a whole number from 1, or None, not {workers!r}"
            )
        self.workers = workers
        self._lock = threading.Lock()
        self._line: deque[Future[None]] = deque()
        self._running = 0
        self._peak = 0

    @property
    def running(self) -> int:
        """Queries that hold a worker now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Queries that wait for a worker now."""
        with self._lock:
            return sum(not turn.cancelled() for turn in self._line)

    @property
    def peak(self) -> int:
        """The most queries that ever ran at once."""
        return self._peak

    def query(self, seconds: float) -> str:
        """Answer after ``seconds`` with a worker; holds the calling thread.

        Raises ValueError when ``seconds`` is negative or not finite.
        """
        with self._turn(seconds) as turn:
            turn.result()
            time.sleep(seconds)
        return _answer(seconds)

    async def query_async(self, seconds: float) -> str:
        """The same for a coroutine: it awaits, and holds no thread."""
        with self._turn(seconds) as turn:
            if not turn.done():
                await asyncio.wrap_future(turn)
            await asyncio.sleep(seconds)
        return _answer(seconds)

    @contextmanager
    def _turn(self, seconds: float) -> Iterator[Future[None]]:
        """A place in the line, which becomes a worker: its result is set then."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"a query takes 0 seconds or more, not {seconds!r}")
        turn: Future[None] = Future()
        with self._lock:
            self._line.append(turn)
            self._serve_line()
        try:
            yield turn
        finally:
            # A turn that can still be cancelled never came, and holds no worker.
            if not turn.cancel():
                with self._lock:
                    self._running -= 1
                    self._serve_line()

    def _serve_line(self) -> None:
        """Give the free workers to the first in line. Called with the lock held."""
        while self._line and (self.workers is None or self._running < self.workers):
            turn = self._line.popleft()
            if turn.set_running_or_notify_cancel():  # False: it left the line
                self._running += 1
                self._peak = max(self._peak, self._running)
                turn.set_result(None)

    def __reduce__(self) -> tuple:
        """A server that runs ``in_process()`` takes a database of its own along."""
        return Database, (self.workers,)

    def __repr__(self) -> str:
        limit = "unbounded" if self.workers is None else f"{self.workers} workers"
        return f"<Database ({self.name}), {limit}, peak {self.peak}>"


def _answer(seconds: float) -> str:
    return f"answered after {seconds:g} s"
