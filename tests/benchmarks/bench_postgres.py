"""1,000 queries of 0.1 s through a pool of 20, against Little's law.

With L in the database at once and W seconds for each, L / W come out in a second:
1,000 of them take 1,000 * 0.1 / 20 = 5 s. What is more is the price of the pool, of
its client and of PostgreSQL. Rounds of coroutines (asyncpg) and of threads (psycopg)
alternate; each figure is the median. Then the memory of it all.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

from helpers.engines.postgres import Postgres
from helpers.engines.postgres_pool import Pool

ROUNDS = 5
QUERIES = 1_000
SECONDS = 0.1
SIZE = 20
THREADS = 200
LITTLE = QUERIES * SECONDS / SIZE


def by_coroutines(pool: Pool) -> float:
    """Seconds for all queries, each asked by a coroutine of its own."""

    async def crowd() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(pool.query_async(SECONDS) for _ in range(QUERIES)))
        return time.perf_counter() - start

    return asyncio.run(crowd())


def by_threads(pool: Pool) -> float:
    """The same by threads that take the next query when one is answered."""
    with ThreadPoolExecutor(THREADS) as threads:
        start = time.perf_counter()
        for _ in threads.map(pool.query, [SECONDS] * QUERIES):
            pass
        return time.perf_counter() - start


def memory(pid: int) -> tuple[int, float]:
    """Processes of a family, and their memory in MB, what they share counted once."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    # PSS is Linux's; elsewhere what is shared counts for each.
    sizes = [process.memory_full_info() for process in family]
    return len(family), sum(getattr(s, "pss", s.rss) for s in sizes) / 1e6


def main() -> None:
    start = time.perf_counter()
    with Postgres() as postgres:
        ready = time.perf_counter() - start
        with postgres.pool(SIZE) as pool:
            opened = time.perf_counter() - start - ready
            times = {"asyncpg": [], "psycopg": []}
            for _ in range(ROUNDS):
                times["asyncpg"].append(by_coroutines(pool))
                times["psycopg"].append(by_threads(pool))
            report(times)
            processes, size = memory(postgres.pid)
    print(f"{pool.name} was ready in {ready:.2f} s, {2 * SIZE} connections")
    print(
        f"took {opened:.2f} s; {processes} processes, {size:.0f} MB; peak {pool.peak}"
    )


def report(times: dict[str, list[float]]) -> None:
    print(f"Medians of {ROUNDS} interleaved rounds; Little's law: {LITTLE:.2f} s")
    print(f"{'client':<8} {'seconds':>8} {'of Little':>10} {'worst':>6}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        worst = max(seconds) / LITTLE
        print(f"{name:<8} {median:>8.2f} {median / LITTLE:>10.3f} {worst:>6.3f}")
    pairs = zip(times["asyncpg"], times["psycopg"], strict=True)
    print(f"asyncpg / psycopg: {statistics.median(a / b for a, b in pairs):.3f}")


if __name__ == "__main__":
    main()
