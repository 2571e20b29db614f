"""crowd: many clients that ask one server at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import NamedTuple

import aiohttp

from helpers.measure import Result, closed_loop
from helpers.measure.models import expected_throughput
from helpers.server import Startable
from helpers.servers.concurrency import AsyncServer, Handled, ThreadedServer
from helpers.servers.database import Queries

__all__ = ["Crowds", "Visit", "crowd", "crowds", "visit"]

QUERY = 0.1  # seconds that each request waits for the database
CLIENTS = 1000
ASYNC = "async"


async def crowd(
    server: Startable, clients: int, *, requests: int | None = None, warm_up: int = 0
) -> Result:
    """``clients`` ask for ``/``, once each unless ``requests`` says how often in all.

    By aiohttp and not by httpx, which looks through all its connections for each
    request: with a thousand of them that takes far longer than the answers do.
    """
    # As many connections as there are clients; aiohttp stops at 100 unless told.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, raise_for_status=True
    ) as session:

        async def ask() -> None:
            async with session.get(server.url) as answer:
                await answer.read()

        return await closed_loop(
            ask, clients=clients, requests=requests or clients, warm_up=warm_up
        )


class Visit(NamedTuple):
    """When all clients asked (perf_counter, s), and what the server then handled."""

    asked: float
    handled: list[Handled]

    @property
    def last(self) -> float:
        """Seconds until the last of them was handled."""
        return max(handled.ended for handled in self.handled) - self.asked


async def visit(server: Startable, clients: int = 10) -> Visit:
    """Start the server, let so many clients ask at the same moment, and stop it."""
    with server:
        asked = perf_counter()
        await crowd(server, clients)
    return Visit(asked, list(server.handled))


class Crowds(NamedTuple):
    """What crowds saw of one database: a result for each number of threads.

    The key of the server with an event loop is ``"async"``. ``pool`` bounds the
    queries that the database runs at once; None: nothing does.
    """

    database: str
    pool: int | None
    results: Mapping[int | str, Result]

    def rate(self, threads: int | str) -> float:
        """Requests a second."""
        return self.results[threads].throughput

    def expected(self, threads: int | str) -> float:
        """Requests a second by Little's law, if waiting were all that they cost."""
        bounds = [self.results[threads].requests]
        bounds += [self.pool] if self.pool else []
        bounds += [] if threads == ASYNC else [threads]
        return expected_throughput(QUERY, *bounds)


async def crowds(
    database: Queries,
    handler: Callable[[str], str],
    async_handler: Callable[[str], Awaitable[str]],
    *,
    threads: tuple[int, ...] = (1, 10, 50, 200),
    pool: int | None = None,
) -> Crowds:
    """1,000 clients ask servers with so many threads, and then one with a loop.

    Where threads are few, ten clients each ask, or the run would take minutes.
    """
    results: dict[int | str, Result] = {}
    for number in threads:
        with ThreadedServer(handler, threads=number) as server:
            results[number] = await crowd(server, min(CLIENTS, 10 * number))
    with AsyncServer(async_handler) as server:
        results[ASYNC] = await crowd(server, CLIENTS)
    return Crowds(database.name, pool, results)
