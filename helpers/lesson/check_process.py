"""The learner's function in a process of its own, so that nothing it does ends ours.

An endless loop, a hang or ``os._exit`` ends that process and no other. Servers, links
and captures stay here, so what crossed the wire is known even when the child is not
there any more to tell.
"""

from __future__ import annotations

import linecache
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Self

from helpers import child
from helpers.lesson.check_child import END_OF_PRINTS, decode, encode

__all__ = ["CannotTravel", "End", "LearnerProcess", "Outcome", "Raised", "time_scale"]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("check_child.py")

LOOK_EVERY = 0.05  # seconds between two looks at the time limit and at stop_when()
START_LIMIT = 60.0  # seconds until the child is ready; a fast machine takes 0.2
KEPT_PRINTS = 8 * 1024  # bytes; the end of them, where the trouble is
SHOWN_FRAMES = 3
SHOWN_SOURCE = 70  # characters of a line


def time_scale() -> float:
    """WORKBOOK_TIME_SCALE, 1 unless set: a slow machine gives every limit so much more.

    Raises ValueError when it is no number above zero.
    """
    text = os.environ.get("WORKBOOK_TIME_SCALE", "1")
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not scale > 0:
        raise ValueError(f"WORKBOOK_TIME_SCALE is a number above zero, not {text!r}")
    return scale


class CannotTravel(Exception):
    """The function, or something that it uses, can not be sent to another process."""


class End(StrEnum):
    """How a call ended."""

    RETURNED = "returned"
    RAISED = "raised"
    TIMED_OUT = "timed out"  # it was ended at its time limit
    STOPPED = "stopped"  # it was ended because stop_when() said so
    DIED = "died"  # its process ended under it


@dataclass(frozen=True)
class Raised:
    """An exception of the learner's code: its classes by name, and where it came from.

    ``frames`` are (file, line, function), the learner's own only.
    """

    kinds: tuple[str, ...]
    text: str
    frames: tuple[tuple[str, int, str], ...] = ()

    def __str__(self) -> str:
        """The class and the first line of the message; httpx adds one with a link."""
        first = self.text.partition("\n")[0].rstrip(".")
        return f"{self.kinds[0]}: {first}" if first else self.kinds[0]

    def where(self) -> list[str]:
        """The last lines of the learner's code on the way to the exception."""
        return [shown(frame) for frame in self.frames[-SHOWN_FRAMES:]]


def shown(frame: tuple[str, int, str]) -> str:
    """A line of the learner's code, with its source where there is any."""
    file, number, name = frame
    source = linecache.getline(file, number).strip()[:SHOWN_SOURCE]
    return f"line {number}, in {name}: {source}".rstrip(": ")


@dataclass(frozen=True)
class Outcome:
    """What came of one call, and what it printed meanwhile.

    ``limit`` is the time that it had, in seconds. Of a coroutine that came to an end
    it is also known which tasks it left behind (``left``, by the names of their
    coroutines), in which of its lines it blocked the event loop (``blocked``), and the
    seconds of each ``asyncio.sleep()`` that it asked for, in order (``slept``).
    """

    end: End
    limit: float
    value: Any = None
    error: Raised | None = None
    exit_code: int | None = None
    prints: str = ""
    left: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    slept: tuple[float, ...] = ()

    def raised(self, kind: str) -> bool:
        """Whether it raised ``kind``, by class name, or a subclass of it."""
        return self.error is not None and kind in self.error.kinds

    def __str__(self) -> str:
        """What it did, to stand behind 'it'."""
        if self.end is End.RAISED:
            return f"raised {self.error}"
        if self.end is End.TIMED_OUT:
            return f"did not end within {self.limit:g} s and was stopped"
        if self.end is End.STOPPED:
            return "was stopped"
        if self.end is End.DIED:
            return f"ended its whole process (exit code {self.exit_code})"
        return f"returned {self.value!r:.200}"


class LearnerProcess:
    """A child process that makes calls, one after another.

    Each call gets the function from its bytes again, so that calls share no globals
    of the learner's. The child is started at the first call, and anew after a call
    that did not end, or that left threads behind.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, from any thread, also in the middle of a call. Idempotent."""
        with self._lock:
            self._closed = True
            self._end()

    def call(
        self,
        driver: Callable,
        function: Callable,
        *args: Any,
        limit: float,
        stop_when: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """``driver(function, *args)`` in the child; awaited if it is a coroutine.

        Ended after ``limit`` seconds times :func:`time_scale`, or as soon as
        ``stop_when()`` is true. Raises CannotTravel.
        """
        limit *= time_scale()
        recipe = _pack(driver, function, args)
        with self._lock:
            self._start()
        end = self._ask(recipe, limit, stop_when)
        answer, exit_code = {}, None
        if end is End.RETURNED:
            answer = decode(self._answer)
        elif end is End.DIED:
            exit_code = self._exit_code()
        if not answer.get("tidy"):
            with self._lock:
                self._end()
        seen = {
            "prints": self._prints.take(),
            "left": tuple(answer.get("left", ())),
            "blocked": tuple(shown(frame) for frame in answer.get("blocked", ())),
            "slept": tuple(answer.get("slept", ())),
        }
        if "kinds" in answer:
            error = Raised(answer["kinds"], answer["text"], answer["frames"])
            return Outcome(End.RAISED, limit, error=error, **seen)
        return Outcome(end, limit, answer.get("value"), exit_code=exit_code, **seen)

    def _ask(self, recipe: bytes, limit: float, stop_when: Callable[[], bool]) -> End:
        try:
            self._process.stdin.write(recipe)
            self._process.stdin.flush()
        except OSError:
            return End.DIED
        deadline = time.monotonic() + limit
        while not self._has_answer():
            if stop_when():
                return End.STOPPED
            if time.monotonic() > deadline:
                return End.TIMED_OUT
        return End.RETURNED if self._answer else End.DIED

    def _has_answer(self) -> bool:
        """Wait a moment for the next line; an empty one says that the child died."""
        try:
            self._answer = self._lines.get(timeout=LOOK_EVERY)
        except queue.Empty:
            return False
        return True

    # -- life ------------------------------------------------------------------------

    def _start(self) -> None:
        if self._closed:
            raise RuntimeError("this check was stopped")
        if self._process is not None:
            return
        path = os.pathsep.join([str(ROOT), *(p for p in sys.path if p)])
        self._process = child.spawn(
            # -P: the script's folder is not the place to import from.
            [sys.executable, "-P", str(SCRIPT)],
            ends_with_stdin=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        )
        self._prints = _Prints(self._process.stderr)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        _in_background(_pass_on_lines, self._process.stdout, self._lines)
        ready = self._lines.get(timeout=START_LIMIT)
        if ready != b"ready\n":
            raise RuntimeError(f"the check could not start:\n{self._prints.take()}")

    def _exit_code(self) -> int | None:
        try:
            return self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:  # it closed its stdout and lives on
            return None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            child.end(process, patience=1.0)
            process.stdin.close()


def _pack(driver: Callable, function: Callable, args: tuple) -> bytes:
    try:
        return encode((driver, function, args))
    except Exception as error:  # pickling calls into whatever is pickled
        raise CannotTravel(f"{type(error).__name__}: {error}") from error


def _in_background(work: Callable, *args: Any) -> None:
    threading.Thread(target=work, args=args, name="lab check", daemon=True).start()


def _pass_on_lines(pipe: BinaryIO, lines: queue.SimpleQueue[bytes]) -> None:
    with pipe:
        for line in pipe:
            lines.put(line)
    lines.put(b"")


class _Prints:
    """What the child prints: read as it comes, its end kept, however much it is."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._kept = b""
        self._dropped = self._closed = False
        self._changed = threading.Condition()
        _in_background(self._read, pipe)

    def _read(self, pipe: BinaryIO) -> None:
        with pipe:
            while chunk := pipe.read1(64 * 1024):
                self._keep(chunk)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _keep(self, chunk: bytes) -> None:
        with self._changed:
            kept = self._kept + chunk
            self._dropped = self._dropped or len(kept) > KEPT_PRINTS
            self._kept = kept[-KEPT_PRINTS:]
            self._changed.notify_all()

    def take(self) -> str:
        """All up to the mark, or up to the end of a child that was ended."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or END_OF_PRINTS in self._kept, timeout=5.0
            )
            prints, _, self._kept = self._kept.partition(END_OF_PRINTS)
            dropped, self._dropped = self._dropped, False
        text = prints.decode(errors="replace").rstrip()
        return f"… (only the end is shown)\n{text}" if dropped else text
