"""Load on a server, in the two ways that load comes.

Closed loop: so many clients, each waits for its answer before it asks again. When
the server stalls, they all wait and ask nothing, so that few requests see the stall.

Open loop: requests arrive at a rate, whether the earlier ones were answered or not,
as they do from users who know nothing of one another. Latency counts from the moment
when a request was meant to start. Counted from when it was really sent, a stall would
hide itself: Gil Tene named that "coordinated omission" ("How NOT to Measure Latency",
2013), and wrk2 was written to avoid it.

Both count what a request raises, by kind, and go on. A request needs a time-out of
its own: nothing here ends one that waits for ever, except cancelling the whole run.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from numbers import Integral, Real
from time import perf_counter
from typing import Any

import numpy as np

from helpers.measure.progress import progress_bar
from helpers.measure.result import Result, error_kind

__all__ = ["closed_loop", "open_loop"]

Request = Callable[..., Awaitable[Any]]

# epoll_wait(2) counts whole milliseconds and asyncio rounds up, so that a sleep ends
# up to this much late. We wake that much early instead.
TIMER_TICK = 0.001


async def closed_loop(
    request: Request,
    *,
    clients: int = 10,
    requests: int | None = None,
    seconds: float | None = None,
    warm_up: int = 0,
    progress: bool = True,
) -> Result:
    """``clients`` clients that each wait for an answer before they ask again.

    ``request`` is an async function of no argument, or of the request's index from 0.
    The run ends after ``requests`` (1,000 unless told), or starts none after
    ``seconds``. ``warm_up`` requests go before it, uncounted, with negative indexes.

    Raises ValueError when an argument makes no sense.
    """
    ask = _by_index(request)
    if requests is None and seconds is None:
        requests = 1000
    _check_length(requests, seconds)
    _check_whole("clients", clients, least=1)
    _check_whole("warm_up", warm_up, least=0)
    await _run_clients(_Run(ask), clients, iter(range(-warm_up, 0)))
    run = _Run(ask)
    indexes = iter(range(requests)) if requests else _indexes_until(run, seconds)
    async with progress_bar(run.answered, requests, seconds, shown=progress):
        await _run_clients(run, clients, indexes)
        return run.result()


async def open_loop(
    request: Request,
    *,
    rate: float,
    requests: int | None = None,
    seconds: float | None = None,
    arrivals: str = "uniform",
    seed: int = 0,
    limit: int = 10_000,
    progress: bool = True,
) -> Result:
    """Requests that arrive at ``rate`` per second, answered or not.

    ``arrivals`` is ``"uniform"`` (equal gaps) or ``"poisson"`` (random gaps from
    ``seed``, as from many users who know nothing of one another). At most ``limit``
    are in flight at once; those beyond wait, and their latency counts that wait.
    Give either ``requests`` or ``seconds``; ``request`` is as in :func:`closed_loop`.

    A request may start up to 1 ms before its time, and then counts from its start.

    Raises ValueError when an argument makes no sense.
    """
    run = _Run(_by_index(request))
    _check_length(requests, seconds)
    _check_positive("rate", rate)
    _check_whole("limit", limit, least=1)
    offsets = itertools.islice(_arrivals(arrivals, rate, seed), requests)
    if seconds is not None:
        offsets = itertools.takewhile(lambda offset: offset < seconds, offsets)
    async with progress_bar(run.answered, requests, seconds, shown=progress):
        await _run_arrivals(run, offsets, limit)
        return run.result()


@dataclass
class _Run:
    """What a run gathers while it goes."""

    ask: Callable[[int], Awaitable[Any]]
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    began: float = 0.0  # set when the first request is due

    async def measure(self, index: int, start: float) -> None:
        """One request, its latency counted from ``start``."""
        try:
            await self.ask(index)
        except asyncio.CancelledError as error:
            # Ours is passed on; one that leaked out of the request is an error of it.
            if asyncio.current_task().cancelling():
                raise
            self.errors[error_kind(error)] += 1
        except Exception as error:
            self.errors[error_kind(error)] += 1
        else:
            self.latencies.append(perf_counter() - start)

    def elapsed(self) -> float:
        return perf_counter() - self.began

    def answered(self) -> int:
        return len(self.latencies) + self.errors.total()

    def result(self) -> Result:
        return Result(np.array(self.latencies), self.errors, self.elapsed())


async def _run_clients(run: _Run, clients: int, indexes: Iterator[int]) -> None:
    async def client() -> None:
        for index in indexes:  # shared: whoever is free takes the next
            await run.measure(index, perf_counter())

    run.began = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())


def _indexes_until(run: _Run, seconds: float) -> Iterator[int]:
    return itertools.takewhile(lambda _: run.elapsed() < seconds, itertools.count())


async def _run_arrivals(run: _Run, offsets: Iterable[float], limit: int) -> None:
    slots = asyncio.Semaphore(limit)

    async def arrive(index: int, start: float) -> None:
        try:
            await run.measure(index, start)
        finally:
            slots.release()

    run.began = perf_counter()
    async with asyncio.TaskGroup() as group:
        for index, offset in enumerate(offsets):
            intended = run.began + offset
            early_enough = intended - perf_counter() - TIMER_TICK
            if early_enough > 0:
                await asyncio.sleep(early_enough)
            await slots.acquire()
            group.create_task(arrive(index, min(intended, perf_counter())))


def _arrivals(kind: str, rate: float, seed: int) -> Iterator[float]:
    """Seconds from the start of the run to each arrival, without end."""
    if kind == "uniform":
        return (index / rate for index in itertools.count())
    if kind == "poisson":  # a Poisson process has exponential gaps
        gap = random.Random(seed).expovariate
        return itertools.accumulate(gap(rate) for _ in itertools.count())
    raise ValueError(f"arrivals is 'uniform' or 'poisson', not {kind!r}")


def _by_index(request: Request) -> Callable[[int], Awaitable[Any]]:
    """``request`` as a function of the request's index, which it may not want."""
    if inspect.iscoroutine(request):
        request.close()
        raise ValueError(
            "request is already running: give the function itself, "
            "closed_loop(ask) and not closed_loop(ask())"
        )
    if not callable(request):
        raise ValueError(f"request must be an async function, not {request!r}")
    wanted = _required_arguments(request)
    if wanted > 1:
        raise ValueError(
            f"request takes {wanted} arguments, but it gets at most the request's "
            "index: wrap it, for example lambda index: ask(client, index)"
        )
    return request if wanted else lambda _: request()


def _required_arguments(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some written in C have no signature
        return 0
    return sum(
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
        for p in parameters
    )


def _check_length(requests: int | None, seconds: float | None) -> None:
    if (requests is None) == (seconds is None):
        raise ValueError(
            "say how long the load lasts: give either requests or seconds, not both"
        )
    if requests is None:
        _check_positive("seconds", seconds)
    else:
        _check_whole("requests", requests, least=1)


def _check_positive(name: str, value: float) -> None:
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"{name} must be a number above 0, not {value!r}")


def _check_whole(name: str, value: int, *, least: int) -> None:
    if not (isinstance(value, Integral) and value >= least):
        raise ValueError(f"{name} must be a whole number from {least}, not {value!r}")
