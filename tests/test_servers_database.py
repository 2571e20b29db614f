"""helpers.servers.database"""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.measure import timed
from helpers.servers.database import Database, Queries


async def ask_together(database: Queries, count: int, seconds: float) -> list[str]:
    return await asyncio.gather(*(database.query_async(seconds) for _ in range(count)))


def test_both_styles_answer_after_their_time():
    """No sooner, and with the same text."""
    database = Database()
    with timed() as query:
        answer = database.query(0.05)
    assert query.seconds >= 0.05
    with timed() as query:
        assert asyncio.run(database.query_async(0.05)) == answer
    assert query.seconds >= 0.045  # a loop may wake a tick early


def test_unbounded_runs_all_at_once():
    """A thousand coroutines wait together, on no thread of their own."""
    database = Database()
    threads = threading.active_count()

    async def main() -> None:
        queries = asyncio.create_task(ask_together(database, 1000, 0.05))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert database.running == 1000
        assert threading.active_count() == threads
        await queries

    asyncio.run(main())
    assert database.peak == 1000
    assert database.running == 0


def test_workers_bound_threads_and_coroutines_together():
    """Two loops and ten threads share three workers, and never have a fourth."""
    database = Database(workers=3)

    def on_a_loop_of_its_own() -> None:
        asyncio.run(ask_together(database, 20, 0.002))

    with ThreadPoolExecutor(12) as threads:
        done = [threads.submit(on_a_loop_of_its_own) for _ in range(2)]
        done += [threads.submit(database.query, 0.002) for _ in range(10)]
        for future in done:
            future.result(timeout=60)
    assert database.peak == 3
    assert (database.running, database.waiting) == (0, 0)


def test_the_line_is_fair_across_loops_and_threads(wait_until):
    """Whoever came first is served first, be it a thread or a coroutine."""
    database = Database(workers=1)
    order: list[int] = []

    def by_coroutine() -> None:
        asyncio.run(database.query_async(0))

    def by_thread() -> None:
        database.query(0)

    def in_line(length: int) -> Callable[[], bool]:
        return lambda: database.waiting == length

    with ThreadPoolExecutor(10) as threads:
        with database._turn(0):  # holds the only worker
            for number in range(10):
                threads.submit(by_coroutine if number % 2 else by_thread)
                wait_until(in_line(number + 1))
            for number, turn in enumerate(database._line):
                turn.add_done_callback(lambda _, number=number: order.append(number))
    assert order == list(range(10))
    assert (database.peak, database.running) == (1, 0)


def test_turns_come_in_the_order_of_the_line():
    """The first to come is the next to run, and nobody overtakes."""
    database = Database(workers=1)
    served: list[int] = []

    async def query(number: int) -> None:
        await database.query_async(0)
        served.append(number)

    async def main() -> None:
        await asyncio.gather(*map(query, range(20)))

    asyncio.run(main())
    assert served == list(range(20))


@pytest.mark.parametrize("holder", ["waits in line", "holds the worker"])
def test_a_cancelled_query_loses_no_worker(holder):
    """Neither one that waits, nor one that runs; the others go on."""
    database = Database(workers=1)

    async def main() -> None:
        first = asyncio.create_task(database.query_async(0.01))
        second = asyncio.create_task(database.query_async(0.01))
        third = asyncio.create_task(database.query_async(0.01))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        cancelled = second if holder == "waits in line" else first
        cancelled.cancel()
        others = [task for task in (first, second, third) if task is not cancelled]
        await asyncio.wait_for(asyncio.gather(*others), timeout=30)
        assert cancelled.cancelled()

    asyncio.run(main())
    assert (database.running, database.waiting, database.peak) == (0, 0, 1)


def test_a_query_cancelled_as_its_turn_comes_loses_no_worker():
    """The turn was given, and the coroutine never saw it."""
    database = Database(workers=1)

    async def main() -> None:
        with database._turn(0):
            waiting = asyncio.create_task(database.query_async(60))
            await asyncio.sleep(0)
            assert database.waiting == 1
        assert database.running == 1  # it has its turn, and does not know it yet
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert database.running == 0

    asyncio.run(main())


def test_a_thousand_random_cancellations_leave_all_workers_free():
    """Whenever they come."""
    database = Database(workers=5)

    async def main() -> None:
        tasks = [asyncio.create_task(database.query_async(0.001)) for _ in range(1000)]
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                task.cancel()
            if number % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert (database.running, database.waiting, database.peak) == (0, 0, 5)


def test_it_travels_as_a_new_one():
    """Its limit goes with it; who waits stays where he is."""
    database = Database(workers=7)
    database.query(0)
    twin = pickle.loads(pickle.dumps(database))
    assert (twin.workers, twin.peak) == (7, 0)
    assert twin.query(0)


@pytest.mark.parametrize("workers", [0, -1, 2.5, "many"])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    """With what was given."""
    with pytest.raises(ValueError, match=f"or None, not {workers!r}"):
        Database(workers=workers)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds):
    """And no worker is lost by it."""
    database = Database(workers=1)
    with pytest.raises(ValueError, match="0 seconds or more"):
        database.query(seconds)
    with pytest.raises(ValueError, match="0 seconds or more"):
        asyncio.run(database.query_async(seconds))
    assert database.query(0)


def test_its_repr_says_what_it_is():
    """The name for captions, its limit and its peak."""
    shown = "<Database (stand-in, in this kernel), 3 workers, peak 0>"
    assert repr(Database(3)) == shown
    assert "unbounded" in repr(Database())
