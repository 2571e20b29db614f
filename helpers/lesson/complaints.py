"""What asyncio complains about, as short lines, and where a stuck task waits.

asyncio notices many mistakes, but tells of them late, on stderr, in long lines full
of addresses. Here they come as a list that reads the same in every run:

    with complaints(debug=True) as heard:
        await main()
    heard
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import linecache
import logging
import math
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from types import CoroutineType, FrameType
from typing import Any

__all__ = ["Lines", "complaints", "end", "stuck"]

WIDTH = 60  # of a quoted piece of code, in characters
ORIGIN_DEPTH = 10  # frames, as many as asyncio's debug mode keeps
CANCELS = 20  # a task that swallowed so many will swallow the next one too
PATIENCE = 0.05  # seconds until the next cancel; to end takes a turn of the loop

LIBRARIES = tuple({sysconfig.get_path(k) for k in ("stdlib", "purelib", "platlib")})
DEFAULT_NAME = re.compile(r"Task-\d+")
COMMENT = re.compile(r"\s{2,}#.*")
CREATED = "; created at: "
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+| (created )?at \S+:\d+")
SLOW_TASK = re.compile(
    r"Executing <Task .*?name='(?P<name>.*?)' coro=<(\S*\.)?(?P<coroutine>\w+)\(\)"
    r".*? at (?P<file>.*?):\d+>"
)


class Lines(list[str]):
    """A list of lines that shows itself line by line, as in a terminal."""

    def __repr__(self) -> str:
        return "\n".join(self).replace(CREATED, "\n    created at: ") or "nothing"


@contextlib.contextmanager
def complaints(debug: bool = False) -> Iterator[Lines]:
    """Collect what asyncio complains about while the block runs.

    Heard are coroutines that were never awaited, exceptions of tasks that nobody
    retrieved, tasks destroyed while pending, and what else reaches the loop's
    exception handler. All of it shows only when an object is destroyed, so the end
    of the block collects garbage; what is still referred to stays unheard.

    ``debug`` turns on asyncio's debug mode for the block: each line then says where
    the coroutine or task was created, and a task that holds the loop for longer than
    ``loop.slow_callback_duration`` (0.1 s) is heard as well.

    Raises RuntimeError where no event loop runs: use it in a coroutine or a cell.
    """
    loop = _running_loop()
    gc.collect()  # older garbage is not this block's
    heard = Lines()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_never_awaited(heard))
        stack.enter_context(_loop_errors(loop, heard))
        if debug and not loop.get_debug():
            stack.enter_context(_debug_mode(loop, heard))
        try:
            yield heard
        finally:
            gc.collect()


def stuck(tasks: Iterable[asyncio.Task]) -> Lines:
    """For each task that is not done, by name: the line of code where it waits.

    It is the innermost line outside of libraries. A task that was asked to end, by
    ``cancel()`` or by a time-out, and still waits is told apart: ``task.cancelling()``
    counts those requests.
    """
    return Lines(sorted(_waits_at(task) for task in tasks if not task.done()))


async def end(tasks: Iterable[asyncio.Task]) -> None:
    """Cancel the tasks until all have ended, also those that swallow it at first.

    What they raise as they end is of no more interest. Raises RuntimeError, which says
    where they wait, when some swallow every cancellation: those last until their loop
    ends.
    """
    all_tasks = pending = set(tasks)
    for _ in range(CANCELS):
        if not pending:
            break
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=PATIENCE)
    if pending:
        raise RuntimeError(
            f"cancelled {CANCELS} times, and not ended: {stuck(pending)}"
        )
    await asyncio.gather(*all_tasks, return_exceptions=True)


# -- hearing -------------------------------------------------------------------------


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "complaints() listens to the running event loop, and none runs: use it in "
            "a cell, or inside of the coroutine that you give to asyncio.run()"
        ) from None


@contextlib.contextmanager
def _never_awaited(heard: Lines) -> Iterator[None]:
    """Python warns of these; other warnings are passed on at the end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        yield
    for warning in caught:
        if isinstance(warning.source, CoroutineType):
            coroutine = warning.source
            origin = reversed(coroutine.cr_origin or ())
            created = _created_at((file, line) for file, line, _ in origin)
            heard.append(f"coroutine '{coroutine.__name__}' was never awaited{created}")
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


@contextlib.contextmanager
def _loop_errors(loop: asyncio.AbstractEventLoop, heard: Lines) -> Iterator[None]:
    before = loop.get_exception_handler()
    # As text at once: to hold the task would bring it back to life.
    loop.set_exception_handler(lambda _, context: heard.append(_complaint(context)))
    try:
        yield
    finally:
        loop.set_exception_handler(before)


@contextlib.contextmanager
def _debug_mode(loop: asyncio.AbstractEventLoop, heard: Lines) -> Iterator[None]:
    """asyncio's debug mode, effective from the next line on.

    ``loop.set_debug()`` on a running loop starts and ends the tracking of where
    coroutines come from one turn of the loop later: so does the last restore here.
    """
    depth = sys.get_coroutine_origin_tracking_depth()
    slow = loop.slow_callback_duration
    ears = _SlowTasks(heard, slow)
    loop.set_debug(True)
    sys.set_coroutine_origin_tracking_depth(ORIGIN_DEPTH)
    logging.getLogger("asyncio").addFilter(ears)
    try:
        yield
    finally:
        logging.getLogger("asyncio").removeFilter(ears)
        loop.set_debug(False)
        loop.call_soon(sys.set_coroutine_origin_tracking_depth, depth)
        # asyncio is still timing this very turn, which collects garbage.
        loop.slow_callback_duration = math.inf
        loop.call_soon(setattr, loop, "slow_callback_duration", slow)


class _SlowTasks(logging.Filter):
    """Takes from asyncio's log what is said of slow tasks, those of libraries aside."""

    def __init__(self, heard: Lines, slow: float) -> None:
        super().__init__()
        self._heard = heard
        self._slow = slow

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if not message.startswith("Executing "):
            return True
        found = SLOW_TASK.match(message)
        if found and not _in_library(found["file"]):
            name = _name(found["name"], found["coroutine"])
            self._heard.append(f"Task {name} held the loop for over {self._slow:g} s")
        return False


# -- wording -------------------------------------------------------------------------


def _complaint(context: dict[str, Any]) -> str:
    """A line for what asyncio tells its exception handler (call_exception_handler)."""
    message = ADDRESS.sub("", context["message"]).rstrip("!")
    task = context.get("task") or context.get("future")
    if isinstance(task, asyncio.Task):
        message = message.removeprefix("Task ")
        colon = ":" if message.startswith("exception") else ""
        message = f"Task {_task_name(task)}{colon} {message}"
    if error := context.get("exception"):
        message += f": {_shorten(ADDRESS.sub('', repr(error)))}"
    created = context.get("source_traceback") or ()
    return message + _created_at((frame.filename, frame.lineno) for frame in created)


def _task_name(task: asyncio.Task) -> str:
    return _name(task.get_name(), getattr(task.get_coro(), "__name__", "?"))


def _name(name: str, coroutine: str) -> str:
    """The name, or the coroutine's, for a number says nothing and is never the same."""
    return f"of {coroutine}()" if DEFAULT_NAME.fullmatch(name) else repr(name)


def _created_at(places: Iterable[tuple[str, int]]) -> str:
    """The innermost line outside of libraries, of (file, line) from outer to inner."""
    own = [place for place in places if not _in_library(place[0])]
    return CREATED + _source(*own[-1]) if own else ""


def _source(file: str, line: int) -> str:
    code = COMMENT.sub("", linecache.getline(file, line)).strip()
    return _shorten(code or "(no source)")


def _shorten(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _in_library(file: str) -> bool:
    return file.startswith((*LIBRARIES, "<frozen"))


# -- where a task waits --------------------------------------------------------------


def _waits_at(task: asyncio.Task) -> str:
    name = task.get_name()
    if DEFAULT_NAME.fullmatch(name):
        name = _task_name(task).removeprefix("of ")
    if asked := task.cancelling():
        times = "once" if asked == 1 else f"{asked} times"
        name += f" (cancelled {times}, not ended)"
    if inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:
        return f"{name} has not begun"
    frames = list(_frames(task.get_coro()))
    own = [f for f in frames if not _in_library(f.f_code.co_filename)] or frames[:1]
    return f"{name} waits at: {_source(own[-1].f_code.co_filename, own[-1].f_lineno)}"


def _frames(awaited: object) -> Iterator[FrameType]:
    """From outer to inner; ``task.get_stack()`` has only the outermost."""
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        yield frame
        awaited = awaited.cr_await
