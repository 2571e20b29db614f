"""closed_loop against wrk: the same server, the same number of clients.

A load generator in Python is the slower one; how much slower tells from which rate
on a figure of ours is about the client and no longer about the server.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics

import aiohttp

from helpers.measure.load import closed_loop
from tests.benchmarks.bench_server import Hello, requests_per_second

PAIRS = 5
CLIENTS = (1, 8, 32)
SECONDS = 2.0


async def by_closed_loop(url: str, clients: int) -> float:
    """Requests per second that came back good."""
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask() -> None:
            async with session.get(url) as answer:
                await answer.read()

        result = await closed_loop(
            ask, clients=clients, seconds=SECONDS, warm_up=clients, progress=False
        )
    if result.errors:
        raise RuntimeError(f"the load met errors: {result.errors}")
    return result.throughput


def by_wrk(url: str, clients: int) -> float:
    return requests_per_second(url, ["wrk", "-t1", f"-c{clients}", f"-d{SECONDS:g}s"])


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk: install it by your system")
    print(f"Medians of {PAIRS} interleaved pairs, requests per second")
    print(f"{'clients':>7} {'wrk':>9} {'closed_loop':>12} {'ratio':>6}")
    with Hello.in_process() as server:
        url = server.make_url("/")
        for clients in CLIENTS:
            wrk, ours = [], []
            for _ in range(PAIRS):
                wrk.append(by_wrk(url, clients))
                ours.append(asyncio.run(by_closed_loop(url, clients)))
            ratio = statistics.median(a / b for a, b in zip(ours, wrk, strict=True))
            theirs, mine = statistics.median(wrk), statistics.median(ours)
            print(f"{clients:>7} {theirs:>9,.0f} {mine:>12,.0f} {ratio:>6.2f}")


if __name__ == "__main__":
    main()
