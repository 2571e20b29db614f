"""A progress bar over a run of load: on stderr, or as one line of a notebook."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["progress_bar"]

INTERVAL = 0.1
# A run shorter than this needs no progress bar.
DELAY = 0.5


@asynccontextmanager
async def progress_bar(
    answered: Callable[[], int],
    requests: int | None,
    seconds: float | None,
    *,
    shown: bool = True,
    noun: str = "requests",
) -> AsyncIterator[None]:
    """Show how far a run is, from a task that looks at it ten times a second.

    The run lasts until ``requests`` are ``answered()``, or for ``seconds``. ``noun`` is
    what they are, where they are no requests.
    """
    if not shown:
        yield
        return
    began = perf_counter()
    with _bar(requests, seconds, noun) as bar:

        async def follow() -> None:
            while True:
                await asyncio.sleep(INTERVAL)
                done = answered() if requests else min(perf_counter() - began, seconds)
                bar.update(done - bar.n)

        task = asyncio.create_task(follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


def _bar(requests: int | None, seconds: float | None, noun: str) -> tqdm:
    from tqdm import tqdm

    class Bar(tqdm):
        # No thread that watches the bar, and no semaphore shared between processes.
        monitor_interval = 0

    Bar.set_lock(threading.RLock())
    counted = "{n_fmt}/{total_fmt} " + noun + ", {rate_fmt}"
    timed = "{n:.1f} of {total:g} s"
    return Bar(
        total=requests or seconds,
        file=_NotebookLine() if _in_notebook() else sys.stderr,
        delay=DELAY,
        mininterval=INTERVAL,
        leave=False,
        unit="",
        bar_format="{percentage:3.0f}% |{bar:30}| " + (counted if requests else timed),
    )


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _NotebookLine:
    """A line of output that is empty in the end.

    On stderr, which a notebook shows in red, a finished bar leaves a red stripe.
    """

    encoding = "utf-8"  # tells tqdm that it may draw the bar in blocks

    def __init__(self) -> None:
        self._handle: Any = None

    def write(self, text: str) -> None:
        from IPython.display import display

        line = {"text/plain": text.strip()}
        if self._handle:
            self._handle.update(line, raw=True)
        elif line["text/plain"]:
            self._handle = display(line, raw=True, display_id=True)

    def flush(self) -> None:
        """Each write is shown at once."""
