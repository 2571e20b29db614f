"""The child's side of a lab check: it calls the learner's function and tells the end.

check_process.py starts this file as a script. One line on stdin is one call: a
driver, the function and its arguments (cloudpickle, then base64). One line on
stdout is its answer, a dict in the same writing. What the function prints goes to
stderr, and a mark follows it there. First of all the child says that it is ready.

While a coroutine runs, the child also watches what is easy to miss: whether it blocks
the event loop, how long it asks to sleep, and whether it leaves tasks behind.

Nothing of the workbook is imported here, so that the child is there quickly.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import inspect
import os
import pickle
import sys
import sysconfig
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

import cloudpickle

END_OF_PRINTS = b"\0end of prints\0"
LONGEST_TEXT = 1000  # characters of an exception's message
KEPT_SLEEPS = 10_000
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))

BEAT_EVERY = 0.02  # seconds between two beats of the event loop
LOOK_EVERY = 0.05  # seconds between two looks at where it stands
# So long may a loop without a beat stand at one spot, in seconds. At a spot in a
# library longer: to read certificates takes a busy machine its time.
PATIENCE = 0.15
PATIENCE_ELSEWHERE = 1.0


def decode(line: bytes) -> Any:
    return pickle.loads(base64.b64decode(line))


def encode(value: Any) -> bytes:
    return base64.b64encode(cloudpickle.dumps(value)) + b"\n"


def call(line: bytes) -> dict[str, Any]:
    """Make one call; what it returned or raised, whatever that is."""
    function, seen = None, {}
    try:
        driver, function, args = decode(line)
        value = driver(function, *args)
        if inspect.iscoroutine(value):
            value = asyncio.run(_watched(value, _own_file(function), seen))
        return {"value": _plain(value)} | seen
    except BaseException as error:  # SystemExit, too, is only an end of this call
        return _raised(error, function) | seen


async def _watched(coroutine: Coroutine, own_file: str, seen: dict[str, Any]) -> Any:
    seen["slept"] = slept = []
    with _LoopWatch(own_file) as watch, _noting_sleeps(slept):
        try:
            return await coroutine
        finally:
            seen["left"] = _tasks_left()
            seen["blocked"] = watch.found


@contextlib.contextmanager
def _noting_sleeps(slept: list[float]) -> Iterator[None]:
    """Note for how long the learner's code asks asyncio.sleep() to sleep, in order.

    How long a pause *took* is in part the busy machine's doing; this is not. What a
    library asks for is left out, that of a module beside the function is not.
    """
    sleep = asyncio.sleep

    def noting(delay: float, result: Any = None) -> Coroutine:
        caller = sys._getframe(1).f_code.co_filename
        if not caller.startswith(LIBRARIES) and len(slept) < KEPT_SLEEPS:
            slept.append(float(delay))
        return sleep(delay, result)

    asyncio.sleep = noting
    try:
        yield
    finally:
        asyncio.sleep = sleep


def _tasks_left() -> list[str]:
    """By the name of the coroutine; what Python itself cleans up does not count."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    coroutines = [task.get_coro() for task in others]
    return sorted(c.__name__ for c in coroutines if inspect.iscoroutine(c))


class _LoopWatch:
    """Finds the lines in which the learner's code holds up the event loop.

    The loop beats. A thread looks where the loop's thread stands: without a beat at
    one and the same spot for a while, it is not busy but waits, and all wait with it.
    """

    def __init__(self, own_file: str) -> None:
        self.found: list[tuple[str, int, str]] = []
        self._own_file = own_file
        self._watched = threading.get_ident()
        self._beats = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._next_beat.cancel()
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        self._beats += 1
        loop = asyncio.get_running_loop()
        self._next_beat = loop.call_later(BEAT_EVERY, self._beat)

    def _look(self) -> None:
        before, since = None, 0.0
        while not self._over.wait(LOOK_EVERY):
            frame, now = sys._current_frames()[self._watched], time.monotonic()
            spot = (id(frame), frame.f_lasti, self._beats)
            if spot != before:
                before, since = spot, now
            elif now - since > self._patience(frame):
                self._note(frame)

    def _patience(self, frame: FrameType) -> float:
        file = frame.f_code.co_filename
        if Path(file).name == "selectors.py":  # the loop waits, as it should
            return float("inf")
        own = _is_learners(file, self._own_file)
        return PATIENCE if own else PATIENCE_ELSEWHERE

    def _note(self, frame: FrameType | None) -> None:
        while frame is not None:
            file, line = frame.f_code.co_filename, frame.f_lineno
            if _is_learners(file, self._own_file):
                spot = (file, line, frame.f_code.co_name)
                self.found += [spot] if spot not in self.found else []
                return
            frame = frame.f_back


def _plain(value: Any) -> Any:
    """The value, if it can travel; else how it shows itself."""
    try:
        pickle.loads(cloudpickle.dumps(value))
    except Exception:
        return repr(value)
    return value


def _raised(error: BaseException, function: Any) -> dict[str, Any]:
    try:
        text = str(error)[:LONGEST_TEXT]
    except Exception:
        text = ""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return {"kinds": kinds, "text": text, "frames": _frames(error, function)}


def _frames(error: BaseException, function: Any) -> list[tuple[str, int, str]]:
    """File, line and name of the learner's frames, the outermost first."""
    own_file = _own_file(function)
    found, traceback = [], error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if _is_learners(code.co_filename, own_file):
            found.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return found


def _own_file(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None) if function else None
    return code.co_filename if code else ""


def _is_learners(file: str, own_file: str) -> bool:
    """In the function's file, or in another cell: cells are in no file on disk."""
    return file == own_file or not (file.startswith("<") or Path(file).exists())


def end_with_parent(lines: Any, arrived: Any) -> None:
    """Hand over each line; when stdin ends, our parent is gone or wants us gone."""
    for line in lines:
        arrived.put(line)
    os._exit(0)


def main() -> None:
    import queue

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a print must not garble the answers
    sys.stdout.reconfigure(line_buffering=True)  # prints outlive a SIGKILL
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    lines = os.fdopen(os.dup(0), "rb")
    sys.stdin = open(os.devnull)  # noqa: SIM115 - input() gets its EOFError at once
    threading.Thread(target=end_with_parent, args=(lines, calls), daemon=True).start()
    answers.write(b"ready\n")
    answers.flush()
    while True:
        line, threads = calls.get(), threading.active_count()
        answer = call(line)
        answer["tidy"] = threading.active_count() <= threads
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(2, END_OF_PRINTS)
        answers.write(encode(answer))
        answers.flush()


if __name__ == "__main__":
    main()
