"""Trying requirements on a learner's function: a few at once, each on its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from helpers.lesson.check_process import End, LearnerProcess, Outcome
from helpers.lesson.check_report import Verdict

__all__ = ["Checking", "Requirement", "Trial", "Unmet", "kept_processes"]

# Requirements spend most of their time waiting for time-outs and pauses.
AT_ONCE = 4
QUIET = 1.0  # seconds until a check shows how far it is
LOOK_EVERY = 0.2


class Unmet(Exception):
    """The requirement is not met. The message is for the learner."""


@dataclass(frozen=True)
class Requirement:
    """``judge(trial)`` raises Unmet; each call in it may take ``limit`` seconds."""

    name: str
    title: str
    limit: float
    judge: Callable[[Trial], None]


class Trial:
    """One requirement tried on one function."""

    def __init__(
        self,
        process: LearnerProcess,
        driver: Callable,
        function: Callable,
        limit: float,
    ) -> None:
        self._process = process
        self._driver = driver
        self._function = function
        self._limit = limit
        self.outcome: Outcome | None = None
        self.capture: Any = None

    def call(
        self,
        *args: Any,
        witness: Any = None,
        stop_when: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Call the learner's function, through the driver, in its own process.

        ``witness.capture`` is what the report draws when this run fails; a Link has
        one. ``stop_when()`` ends a run whose verdict is certain; it must be quick.

        Raises Unmet for a stub, and when the process ended under it.
        """
        self.capture = getattr(witness, "capture", None)
        self.outcome = None
        self.outcome = outcome = self._process.call(
            self._driver, self._function, *args, limit=self._limit, stop_when=stop_when
        )
        if outcome.raised("NotImplementedError"):
            raise Unmet("This case is not written yet: it raised NotImplementedError.")
        if outcome.end is End.DIED:
            raise Unmet(
                f"It {outcome}. A function ends by return or by raise, never by "
                "os._exit, or its caller could not go on."
            )
        return outcome


_kept: list[LearnerProcess] | None = None


@contextmanager
def kept_processes() -> Iterator[None]:
    """Checks in here hand their processes on to the next one; all end with it.

    For who checks many functions, one check at a time: to start a process and to import
    a client there takes longer than most calls. A learner's check has fresh ones.
    """
    global _kept
    _kept = kept = []
    try:
        yield
    finally:
        _kept = None
        for process in kept:
            process.close()


class Checking:
    """One check under way: its threads, and the processes that they use in turn."""

    def __init__(self, function: Callable, driver: Callable) -> None:
        self._function = function
        self._driver = driver
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lab check")
        kept = _kept or []
        self._idle = [kept.pop() if kept else LearnerProcess() for _ in range(AT_ONCE)]
        self._processes = list(self._idle)
        self._futures: list[Future[Verdict]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Also after an interrupt: nothing of the learner's runs on."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if _kept is not None and kind is None:  # all is judged, so no call is under way
            _kept.extend(self._processes)
        else:
            for process in self._processes:
                process.close()
        self._pool.shutdown()

    def begin(self, requirements: list[Requirement]) -> None:
        """Try these; what may take longest comes first, so that it is not left over."""
        order = sorted(requirements, key=lambda r: r.limit, reverse=True)
        begun = {r.name: self._pool.submit(self._try, r) for r in order}
        self._futures += [begun[r.name] for r in requirements]

    def _try(self, requirement: Requirement) -> Verdict:
        name, title = requirement.name, requirement.title
        process = self._idle.pop()
        trial = Trial(process, self._driver, self._function, requirement.limit)
        try:
            requirement.judge(trial)
        except Unmet as unmet:
            run = trial.outcome, trial.capture
            return Verdict(name, title, False, str(unmet), *run)
        finally:
            self._idle.append(process)
        return Verdict(name, title, met=True)

    def verdicts(self, *, total: int) -> list[Verdict]:
        """Wait for all that was begun, and show how far it is.

        Raises what a judge raised other than Unmet.
        """
        waiting: set[Future] = set(self._futures)
        with _progress() as show:
            while waiting:
                done = len(self._futures) - len(waiting)
                show(f"checking: {done} of {total} requirements tried")
                _, waiting = wait(waiting, timeout=LOOK_EVERY)
        return [future.result() for future in self._futures]


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line that changes, shown only when it takes longer, and empty in the end."""
    began = time.monotonic()
    write = _notebook_line() if _in_notebook() else _terminal_line
    shown = ""

    def show(text: str) -> None:
        nonlocal shown
        if text != shown and time.monotonic() - began > QUIET:
            write(text)
            shown = text

    try:
        yield show
    finally:
        if shown:
            write("")


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _terminal_line(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:60}", end="\n" if not text else "", file=sys.stderr, flush=True)


def _notebook_line() -> Callable[[str], None]:
    from IPython.display import display

    handle = None

    def write(text: str) -> None:
        nonlocal handle
        line = {"text/plain": text}
        if handle is None:
            handle = display(line, raw=True, display_id=True)
        else:
            handle.update(line, raw=True)

    return write
