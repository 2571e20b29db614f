"""A file that is slow to read, honestly: a named pipe whose writer takes its time.

    with SlowFile(seconds=0.3) as file:
        open(file.path).read()        # waits for 0.3 s, as for a tired disk

To the reader, in whatever language, it looks like any other file. Each reader gets a
pipe of its own: once somebody has opened the pipe at ``path`` (fifo(7): the writer's
open waits until then), a fresh one takes its place. On one pipe for all, the writer
who comes back for the next reader would keep the last one from seeing the end.
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

__all__ = ["SlowFile"]

# Fits into every pipe's buffer, so that no reader can make its writer wait.
TEXT = b"These bytes come from a slow file.\n"


class SlowFile:
    """A context manager with a ``path``: to open and read it takes ``seconds``.

    As often as one likes, and by several readers at once. Those that open it at the
    very same instant may share one pipe: then one gets the text, the others nothing.
    At the exit all who still read see the end of the file, and it is gone.

    Raises ValueError when ``seconds`` is negative or not finite, and
    NotImplementedError at the entry on Windows, which has no named pipes of this kind.
    """

    def __init__(self, *, seconds: float = 0.3) -> None:
        if not 0 <= seconds < math.inf:
            raise ValueError(f"a read takes 0 seconds or more, not {seconds!r}")
        self.seconds = seconds
        self._over = threading.Event()
        self._lock = threading.Lock()  # held while the pipe at `path` is replaced
        self._writers: list[threading.Thread] = []
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """Where it lies. Raises RuntimeError outside the ``with`` block."""
        if self._path is None:
            raise RuntimeError("a SlowFile is there inside its `with` block only")
        return self._path

    def __enter__(self) -> Self:
        if not hasattr(os, "mkfifo"):
            raise NotImplementedError(
                "SlowFile is a named pipe, and Windows has none in its file system: "
                "run this part in WSL or on Binder"
            )
        self._over.clear()
        self._folder = tempfile.TemporaryDirectory(prefix="slow-file-")
        self._path = Path(self._folder.name, "slow.txt")
        os.mkfifo(self._path)
        self._waiter = _start_thread(self._wait_for_readers)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over.set()
            # Be the reader for whom the waiter waits, so that it can end.
            reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._waiter.join()
        os.close(reader)
        for writer in self._writers:
            writer.join()
        self._writers.clear()
        self._path = None
        self._folder.cleanup()

    def _wait_for_readers(self) -> None:
        fresh = self.path.with_suffix(".next")
        while True:
            pipe = os.open(self.path, os.O_WRONLY)
            with self._lock:
                if self._over.is_set():
                    # First the name, for who comes after the end would wait for ever.
                    self.path.unlink()
                    os.close(pipe)
                    return
                os.mkfifo(fresh)
                fresh.replace(self.path)
            self._writers = [writer for writer in self._writers if writer.is_alive()]
            self._writers.append(_start_thread(self._write, pipe))

    def _write(self, pipe: int) -> None:
        self._over.wait(self.seconds)
        with contextlib.suppress(BrokenPipeError):  # its reader left
            os.write(pipe, TEXT)
        os.close(pipe)


def _start_thread(target: Callable[..., None], *args: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, name="slow file", daemon=True)
    thread.start()
    return thread
