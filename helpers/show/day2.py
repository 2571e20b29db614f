"""The pictures of day 2: its measurements in, charts out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from helpers.lesson.bystanders import Bystanders
from helpers.lesson.crowd import Crowds, Eight, Visit, Waiting
from helpers.measure.models import expected_throughput
from helpers.measure.result import Result
from helpers.measure.units import number, size
from helpers.servers.database import Database
from helpers.show import panels
from helpers.show.charts import Chart, bars, lines
from helpers.show.explore import Exploration, Slider, explore
from helpers.show.tables import Table, table

__all__ = [
    "alike",
    "alone_table",
    "answered_meanwhile",
    "blocked_ms",
    "crowd_table",
    "explore_pool",
    "freezes",
    "memory_table",
    "styles_table",
    "throughput",
    "timelines",
    "within_law",
    "work",
]


# -- 1. who waits for whom -----------------------------------------------------------


def timelines(visits: Mapping[str, Visit], guess: Any = None) -> Chart:
    """Who waits for whom, where all clients asked at the same moment."""
    return panels.timelines(
        {name: _spans(visit) for name, visit in visits.items()},
        guess=guess,
        waits="waits for its turn",
        works="waits for the database",
        title="All wait as long for the database; with one thread, for each other too",
        alt="With one thread each client waits for all before it. With ten threads, "
        "and with one event loop, all wait for the database side by side.",
    )


def _spans(visit: Visit) -> list[tuple[float, float, float]]:
    return [
        (0.0, (started - visit.asked) * 1e3, (ended - visit.asked) * 1e3)
        for _, started, ended in visit.handled
    ]


# -- 2. how many can wait ------------------------------------------------------------


def throughput(*crowds: Crowds, guess: Any = None) -> Chart:
    """Requests a second beside what Little's law expects, a panel for each database."""
    shown = {
        _named(crowd): {
            _spelled(threads): (crowd.rate(threads), crowd.expected(threads))
            for threads in crowd.results
        }
        for crowd in crowds
    }
    return panels.dots(
        shown,
        unit="requests/s",
        model="Little's law, waiting only",
        guess=guess,
        title="Who can let more requests wait serves more, until something runs out",
        alt="With few threads the measured throughput lies at what Little's law "
        "expects. With 200, and with async, over a database without bound it falls "
        "short of it, for the processor runs out."
        + (BEHIND_A_POOL if len(crowds) > 1 else ""),
    )


BEHIND_A_POOL = (
    " Behind a pool all that can let more wait than it has connections reach the same."
)


def _named(crowd: Crowds) -> str:
    return f"{crowd.database}, {f'pool of {crowd.pool}' if crowd.pool else 'unbounded'}"


def within_law(crowd: Crowds) -> bool:
    """Whether no server did more than Little's law allows."""
    # 2 %, for the timers of a sleep may end a little early.
    return all(crowd.rate(n) <= 1.02 * crowd.expected(n) for n in crowd.results)


def crowd_table(*crowds: Crowds) -> Table:
    """Throughput and waiting times of 1,000 clients, for each database and server.

    Where fewer asked, the rate says how long 1,000 would wait: half of them until 500
    were answered, all but ten until 990 were.
    """
    return table(
        [
            {
                "database": _named(crowd),
                "server": _spelled(threads),
                "clients": result.requests,
                "requests/s": result.throughput,
                "p50 of 1,000": _wait_of_1000(result, 50),
                "p99 of 1,000": _wait_of_1000(result, 99),
            }
            for crowd in crowds
            for threads, result in crowd.results.items()
        ],
        caption="1,000 clients that ask at once; ~ is extrapolated from fewer",
        label="measured here",
    )


def _wait_of_1000(result: Result, percent: float) -> str:
    if result.requests == 1000:
        return f"{number(result.percentile(percent))} s"
    return f"~ {number(10 * percent / result.throughput)} s"


def _spelled(threads: int | str) -> str:
    if threads == "async":
        return "async"
    return f"{threads} thread{'s' * (threads != 1)}"


def memory_table(grown: Waiting) -> Table:
    """What it costs to let a request wait, on a thread and in a coroutine."""
    rows = (
        ("threads", grown.threads, grown.threads, grown.thread_kB),
        ("async", 1, grown.coroutines, grown.coroutine_kB),
    )
    return table(
        [
            {
                "server": name,
                "threads": threads,
                "requests that wait": waiting,
                "memory for all": size(waiting * each * 1e3),
                "for each": size(each * 1e3),
            }
            for name, threads, waiting, each in rows
        ],
        caption="What a server process grows by while requests wait in it",
        label="measured here",
    )


# -- 3. work instead of waiting ------------------------------------------------------


def alone_table(results: Mapping[str, Result]) -> Table:
    """What one client saw, who asked again and again."""
    return table(
        [
            {
                "server": name,
                "requests": result.requests,
                "p50, ms": result.p50 * 1e3,
                "p99, ms": result.p99 * 1e3,
            }
            for name, result in results.items()
        ],
        caption="One client alone, one request after the other",
        label="measured here",
    )


def work(rows: Mapping[str, Eight], guess: Any = None) -> Chart:
    """Seconds for the same eight computations, and how long they froze a loop.

    ``guess`` is how many times the first one's time the third takes.
    """
    times = getattr(guess, "value", None)
    first = next(iter(rows.values())).seconds
    return bars(
        {_with_freeze(name, row): row.seconds for name, row in rows.items()},
        guess=None if times is None else times * first,
        unit="time for all computations, s",
        title="Work is not waiting: only more processes carry more of it",
        alt="Threads and async take as long as one thread. A pool of processes "
        "takes less where there are cores for it, and leaves the loop free.",
    )


def _with_freeze(name: str, row: Eight) -> str:
    if row.freeze is None:
        return name
    return f"{name}; longest freeze {row.freeze * 1e3:.0f} ms"


# -- 4. one blocking call ------------------------------------------------------------


def freezes(
    runs: Mapping[str, tuple[Bystanders, Sequence[tuple[float, float]]]],
    guess: Any = None,
) -> Chart:
    """What others saw of one slow request, and the beats of the loop meanwhile."""
    return panels.freezes(
        {name: _freeze(seen, beats) for name, (seen, beats) in runs.items()},
        guess=guess,
        title="One blocking call stops everybody, in Python as in Node.js",
        alt="While a blocking call reads the file, no other request is answered and "
        "the loop does not beat; the later another came, the less it waited. Read "
        "without blocking, the same file disturbs nobody.",
    )


def answered_meanwhile(
    runs: Mapping[str, tuple[Bystanders, Sequence[tuple[float, float]]]],
) -> tuple[list[int], list[int]]:
    """How many others were answered during the slow read: in each run that blocks
    (whose path is /sync), and in each of the others."""
    counts = {name: seen.meanwhile for name, (seen, _) in runs.items()}
    return tuple(
        [count for name, count in counts.items() if name.endswith("/sync") is blocks]
        for blocks in (True, False)
    )


def blocked_ms(
    runs: Mapping[str, tuple[Bystanders, Sequence[tuple[float, float]]]],
) -> dict[str, float]:
    """For the ledger: the longest wait beside a blocking read, in each language."""
    keys = {"Python, /sync": "blocked_ms", "Node.js, /sync": "node_blocked_ms"}
    return {
        key: runs[name][0].worst * 1e3 for name, key in keys.items() if name in runs
    }


def _freeze(seen: Bystanders, beats: Sequence[tuple[float, float]]) -> panels.Freeze:
    start = seen.slow[0]

    def ms(moment: float) -> float:
        return (moment - start) * 1e3

    first, last = seen.others[0][0], seen.others[-1][1]
    return panels.Freeze(
        others=[(ms(sent), ms(answered)) for sent, answered in seen.others],
        beats=[(ms(at), lag * 1e3) for at, lag in beats if first <= at <= last],
        slow=(0, ms(seen.slow[1])),
    )


# -- 5. three styles -----------------------------------------------------------------


def styles_table(
    fine: Mapping[str, Mapping[str, Any]], failed: Mapping[str, Mapping[str, Any]]
) -> Table:
    """What each language and style came to, for a good user and for a broken one."""
    return table(
        [
            {
                "style": style,
                "user 7": ", ".join(f"{key} {value}" for key, value in told.items()),
                "user 13": failed[style].get("error"),
            }
            for style, told in fine.items()
        ],
        caption="The same workflow, six times",
    )


def alike(*tables: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether each of the tables has the same value for all of its rows."""
    return all(len(set(map(str, told.values()))) == 1 for told in tables)


# -- explore: a pool -----------------------------------------------------------------

CLIENTS = (1, 2, 5, 10, 20, 50, 100, 200)


def explore_pool() -> Exploration:
    """Sliders over a pool of connections, beside Little's law."""

    async def crowds(
        *, pool: int, query: int, clients: int, report: Callable[..., None]
    ) -> Chart:
        numbers = sorted({n for n in CLIENTS if n < clients} | {clients})
        seconds = query / 1e3
        length = max(1.0, 3.5 * seconds)
        # All at once: each crowd has a database of its own, and all only wait.
        runs = [_rate(Database(pool), seconds, n, length) for n in numbers]
        rates, _ = await asyncio.gather(
            asyncio.gather(*runs), _tell_time(length, report)
        )
        return _pool_chart(pool, seconds, numbers, rates)

    return explore(
        crowds,
        pool=Slider(1, 100, 1, 20, unit="connections", label="pool"),
        query=Slider(10, 500, 10, 100, unit="ms", label="a query takes"),
        clients=Slider(1, 200, 1, 100, label="clients"),
    )


async def _rate(database: Database, query: float, clients: int, length: float) -> float:
    """Answers a second to ``clients`` that ask again and again for ``length`` s."""
    answers = 0
    began = last = perf_counter()

    async def client() -> None:
        nonlocal answers, last
        while True:
            await database.query_async(query)
            answers, last = answers + 1, perf_counter()

    tasks = [asyncio.create_task(client()) for _ in range(clients)]
    try:
        await asyncio.sleep(length)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return answers / (last - began)


async def _tell_time(length: float, report: Callable[..., None]) -> None:
    steps = 10
    for step in range(steps):
        report(step, steps, f"{step * length / steps:.1f} of {length:.1f} s")
        await asyncio.sleep(length / steps)


def _pool_chart(
    pool: int, query: float, clients: Sequence[int], rates: Sequence[float]
) -> Chart:
    law = [expected_throughput(query, n, pool) for n in clients]
    bound = expected_throughput(query, pool)
    return lines(
        {"measured, stand-in": (clients, rates)},
        models={"Little's law": (clients, law)},
        x="clients (logarithmic)",
        y="answers/s",
        log="x",
        title=f"From {pool} clients on, more clients bring no more than "
        f"{number(bound)} answers/s",
        alt="The throughput grows with the clients until there are as many as the "
        "pool has connections, and stays there.",
    )
