"""Runs an experiment off the kernel's loop, one at a time, the latest wins.

No widgets here: what happens is told to a listener.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

__all__ = ["Experiment", "Listener", "Runner"]

Experiment = Callable[..., Awaitable[Any]]
REPORT_EVERY = 0.05  # seconds; a page that redraws more often shows no more


class Listener:
    """Hears what happens to a run. Called on the run's thread, one call at a time.

    A run that was overtaken by a later one is not heard of again. ``took`` is in
    seconds.
    """

    def started(self, settings: Mapping[str, Any]) -> None: ...

    def progressed(self, done: float, total: float, text: str) -> None: ...

    def finished(self, result: Any, took: float) -> None: ...

    def failed(self, error: BaseException) -> None: ...

    def stopped(self) -> None: ...


class Runner:
    """Runs ``experiment`` on a thread and an event loop of its own.

    So it goes on while a cell blocks the kernel, and a thread exists only while
    there is something to run. Two runs never overlap, or they would measure each
    other: a new one cancels the one before and waits until that has cleaned up.
    """

    def __init__(self, experiment: Experiment, listener: Listener) -> None:
        self.experiment = experiment
        self.listener = listener
        self._reports = _takes_report(experiment)
        self._lock = threading.RLock()
        self._latest: _Run | None = None

    @property
    def running(self) -> bool:
        run = self._latest
        return run is not None and run.thread.is_alive()

    def run(self, **settings: Any) -> None:
        """Start with these settings, instead of what runs now. Returns at once."""
        run = _Run(settings)
        with self._lock:
            before = self._latest
            if before is not None:
                before.cancel()
            # With the caller's context: what the experiment starts then belongs to
            # the caller's cell, and not to whichever cell happens to run.
            run.thread = threading.Thread(
                target=contextvars.copy_context().run,
                args=(self._go, run, before),
                name=f"explore {self.experiment.__name__}",
                daemon=True,
            )
            self._latest = run
            run.thread.start()

    def stop(self) -> None:
        """Cancel what runs. Returns at once; the listener hears ``stopped``."""
        with self._lock:
            if self._latest is not None:
                self._latest.cancel()

    def close(self, *, patience: float = 5.0) -> None:
        """Cancel what runs, and wait until its thread has ended.

        Raises RuntimeError when the experiment blocks for longer than ``patience``
        seconds.
        """
        self.stop()
        self.wait(patience)
        if self.running:
            raise RuntimeError(
                f"the experiment {self.experiment.__name__} does not stop: something "
                "in it blocks. It ends with the kernel; make it await."
            )

    def wait(self, timeout: float | None = None) -> None:
        """Until nothing runs, or ``timeout`` seconds have passed."""
        run = self._latest
        if run is not None and run.thread is not threading.current_thread():
            run.thread.join(timeout)

    # -- on the run's thread ----------------------------------------------------------

    def _go(self, run: _Run, before: _Run | None) -> None:
        if before is not None:
            before.thread.join()
        try:
            if not run.cancelled:
                self._tell(run, "started", run.settings)
                began = time.perf_counter()
                result = asyncio.run(self._main(run))
                took = time.perf_counter() - began
                if not run.cancelled:
                    self._tell(run, "finished", result, took)
                    return
        except BaseException as error:  # SystemExit too: nothing may get lost
            if not run.cancelled:
                self._tell(run, "failed", error)
                return
        self._tell(run, "stopped")

    async def _main(self, run: _Run) -> Any:
        run.begin(asyncio.get_running_loop(), asyncio.current_task())
        extra = {"report": self._reporter(run)} if self._reports else {}
        return await self.experiment(**run.settings, **extra)

    def _reporter(self, run: _Run) -> Callable[..., None]:
        def report(done: float, total: float, text: str = "") -> None:
            now = time.monotonic()
            if now - run.reported >= REPORT_EVERY or done >= total:
                run.reported = now
                self._tell(run, "progressed", done, total, text)

        return report

    def _tell(self, run: _Run, event: str, *args: Any) -> None:
        with self._lock:
            if run is self._latest:
                getattr(self.listener, event)(*args)


class _Run:
    """One run, and how to cancel it from another thread."""

    thread: threading.Thread

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.cancelled = False
        self.reported = 0.0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task | None = None

    def begin(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task) -> None:
        with self._lock:
            self._loop, self._task = loop, task
            if self.cancelled:
                task.cancel()

    def cancel(self) -> None:
        with self._lock:
            if self.cancelled:
                return
            self.cancelled = True
            if self._loop is not None:
                try:
                    self._loop.call_soon_threadsafe(self._task.cancel)
                except RuntimeError:  # it has just ended, and closed its loop
                    pass


def _takes_report(experiment: Experiment) -> bool:
    parameters = inspect.signature(experiment).parameters.values()
    return any(p.name == "report" or p.kind is p.VAR_KEYWORD for p in parameters)
