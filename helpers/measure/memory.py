"""What a process keeps in memory, and how that grows while something goes on.

    with AsyncServer.in_process(handler) as server:
        with memory_of(server.pid) as memory:
            await closed_loop(ask, clients=1000)
    memory.growth / 1000              # bytes for each request that waited

``in_process()``, for a server shares this process's memory with its clients. What a
server takes at its start, as a ThreadedServer its threads, is in ``before``: to count
it too, compare with a ``SyncServer.in_process()``, which has nothing of the kind.
"""

from __future__ import annotations

import threading
from typing import Self

import psutil

from helpers.measure.units import size

__all__ = ["memory_of", "rss"]

INTERVAL = 0.005  # seconds between two looks


def rss(pid: int | None = None) -> int:
    """The resident set size in bytes: the memory that a process has in RAM.

    Of this process when no ``pid`` is given. Raises ProcessLookupError when there is
    no such process.
    """
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.NoSuchProcess:
        raise ProcessLookupError(f"there is no process {pid}") from None


class memory_of:  # small letters, for it reads as a phrase: `with memory_of(pid)`
    """A context manager that watches a process: ``before``, ``peak`` and ``growth``.

    All are in bytes of :func:`rss`; ``peak`` is the most that was seen in the block, at
    looks 5 ms apart. Python and the C library keep memory that they once had, so that
    growth shows once: watch a fresh process, after a few requests to warm it up.
    """

    def __init__(self, pid: int | None = None) -> None:
        self.pid = pid
        self.before = self.peak = rss(pid)
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    @property
    def growth(self) -> int:
        """Bytes that came in addition to those from before."""
        return self.peak - self.before

    def __enter__(self) -> Self:
        self.before = self.peak = rss(self.pid)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            try:
                self.peak = max(self.peak, rss(self.pid))
            except ProcessLookupError:  # it ended meanwhile
                return

    def __repr__(self) -> str:
        return f"<memory {size(self.before)}, at most {size(self.peak)}>"
