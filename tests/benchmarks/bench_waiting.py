"""1,000 requests that each wait 100 ms at AsyncServer, by four clients, side by side.

Client and server share this process and its interpreter lock, as in the notebook.
Physics asks for 0.1 s, since all can wait at once: what comes on top is the price of
handling 1,000 requests. Each figure is the median over interleaved rounds.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import httpx

from helpers.measure import closed_loop
from helpers.servers.concurrency import AsyncServer
from helpers.servers.database import Database

ROUNDS = 5
WAIT = 0.1
BAR = 8  # times WAIT, for aiohttp at 1,000 requests
COUNTS = (100, 400, 1000)
HTTPX_CLIENTS = 20
SLOW = 400  # from so many on, the one httpx client is asked once

Ask = Callable[[], Awaitable[object]]


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Ask]:
    address = httpx.URL(url)
    request = f"GET / HTTP/1.1\r\nHost: {address.netloc.decode()}\r\n\r\n".encode()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200 "), answer

    yield ask


@asynccontextmanager
async def with_aiohttp(url: str) -> AsyncIterator[Ask]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask() -> None:
            async with session.get(url) as answer:
                answer.raise_for_status()
                await answer.read()

        yield ask


@asynccontextmanager
async def with_httpx(url: str, clients: int = 1) -> AsyncIterator[Ask]:
    """``clients`` that take turns, each without a limit of its own."""
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with AsyncExitStack() as stack:
        pools = [
            await stack.enter_async_context(
                httpx.AsyncClient(limits=unlimited, timeout=120, trust_env=False)
            )
            for _ in range(clients)
        ]
        turns = itertools.cycle(pools)

        async def ask() -> None:
            answer = await next(turns).get(url)
            answer.raise_for_status()

        yield ask


def with_many_httpx(url: str) -> AsyncIterator[Ask]:
    return with_httpx(url, HTTPX_CLIENTS)


CLIENTS = {
    "raw asyncio": raw,
    "aiohttp": with_aiohttp,
    "httpx": with_httpx,
    f"{HTTPX_CLIENTS} httpx clients": with_many_httpx,
}


async def total(client: Callable, url: str, count: int) -> float:
    """Seconds for ``count`` requests at once, a client's start not counted."""
    async with client(url) as ask:
        result = await closed_loop(ask, clients=count, requests=count, progress=False)
    if result.errors:
        raise RuntimeError(f"the load met errors: {result.errors}")
    return result.elapsed


async def handler(path: str) -> str:
    return await database.query_async(WAIT)


database = Database()


def main() -> None:
    totals: dict[tuple[str, int], list[float]] = {}
    with AsyncServer(handler) as server:
        for number, count in itertools.product(range(ROUNDS), COUNTS):
            for name, client in CLIENTS.items():
                if name == "httpx" and count >= SLOW and number > 0:
                    continue
                taken = asyncio.run(total(client, server.make_url("/"), count))
                totals.setdefault((name, count), []).append(taken)
    report(totals)


def report(totals: dict[tuple[str, int], list[float]]) -> None:
    print(f"Total as a multiple of the {WAIT:g} s that each waits; medians of {ROUNDS}")
    print(f"{'client':<18}" + "".join(f"{count:>9,} req." for count in COUNTS))
    for name in CLIENTS:
        medians = (statistics.median(totals[name, count]) for count in COUNTS)
        print(f"{name:<18}" + "".join(f"{taken / WAIT:>14.1f}" for taken in medians))
    times = statistics.median(totals["aiohttp", COUNTS[-1]]) / WAIT
    verdict = "kept" if times <= BAR else "MISSED"
    print(f"aiohttp at {COUNTS[-1]:,}: {times:.1f} times, the bar is {BAR}: {verdict}")
    print(
        f"httpx alone ran once from {SLOW} requests on. For each request that begins or "
        "ends, its pool\nlooks through all its connections and all that wait, so that "
        "the work grows with the square\nof their number; more clients have shorter "
        "lists. It is the client to read, aiohttp to load with."
    )


if __name__ == "__main__":
    main()
