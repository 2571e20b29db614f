"""The heartbeat of an event loop: when it is late, something holds the loop.

    with heartbeat(server) as pulse:      # the loop of a server
        ...
    async with heartbeat() as pulse:      # the loop that runs here
        ...
    pulse.freeze                          # the longest that it stood still, in seconds

A beat asks the loop to be called at a planned moment. Its lag is how much later it
came, for a loop can call nobody while a callback of its own blocks.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Self

from helpers.measure.units import seconds

if TYPE_CHECKING:  # at run time it would cost an import of aiohttp
    from helpers.server import Server

__all__ = ["Beat", "heartbeat"]

KEPT = 100_000  # beats: at one each 10 ms, those of a quarter of an hour


class Beat(NamedTuple):
    """``moment`` by ``time.perf_counter``, and ``lag`` in seconds."""

    moment: float
    lag: float


class heartbeat:  # small letters, for it reads as a verb: `with heartbeat(server)`
    """A context manager, plain and async, that beats on a loop ``every`` seconds.

    The loop is that of ``server``; without one, the loop that runs here. A freeze that
    is not over at the exit counts as a last beat, which comes at the exit. A freeze
    begins between two beats, so that its lag may be ``every`` too short.

    Raises ValueError when ``every`` is not a number above zero, TypeError when
    ``server`` has no loop in this process; at the entry RuntimeError when no loop runs.
    """

    def __init__(self, server: Server | None = None, *, every: float = 0.01) -> None:
        if not 0 < every < math.inf:
            raise ValueError(f"every is in seconds, above zero; not {every!r}")
        if server is not None and not hasattr(server, "call_soon"):
            raise TypeError(f"{server!r} has no event loop in this process")
        self.every = every
        self._server = server
        self._beats: deque[Beat] = deque(maxlen=KEPT)
        self._lock = threading.Lock()  # the loop may be another thread's
        self._over = False
        self._due = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def beats(self) -> list[Beat]:
        """The beats so far, the latest 100,000, in order."""
        with self._lock:
            return list(self._beats)

    @property
    def freeze(self) -> float:
        """The longest lag, in seconds; 0 before the first beat."""
        return max((beat.lag for beat in self.beats), default=0.0)

    def __enter__(self) -> Self:
        if self._over:
            raise RuntimeError("a heartbeat is for one block: make another")
        call_soon = self._call_soon()
        self._due = perf_counter()
        call_soon(self._beat)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
            # A loop that was closed meanwhile is not frozen, but gone.
            alive = self._loop is None or not self._loop.is_closed()
            if alive and perf_counter() > self._due:
                self._note()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)

    def _call_soon(self) -> Callable[..., object]:
        if self._server is None:
            return asyncio.get_running_loop().call_soon
        if not self._server.running:
            raise RuntimeError(f"{self._server.name} does not run, and has no loop")
        return self._server.call_soon

    def _beat(self) -> None:
        """On the loop."""
        with self._lock:
            if self._over:
                return
            self._note()
            self._due = perf_counter() + self.every
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(self.every, self._beat)

    def _note(self) -> None:
        now = perf_counter()
        self._beats.append(Beat(now, now - self._due))

    def __repr__(self) -> str:
        return f"<{len(self.beats)} beats, longest freeze {seconds(self.freeze)}>"
