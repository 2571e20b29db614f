"""crowd: many clients that ask one server at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

import aiohttp

from helpers.measure import Result, closed_loop, heartbeat
from helpers.measure.memory import memory_of
from helpers.measure.models import expected_throughput
from helpers.server import Server, Startable
from helpers.server_process import ServerProcess
from helpers.servers.concurrency import (
    AsyncServer,
    Handled,
    SyncServer,
    ThreadedServer,
)
from helpers.servers.database import Database, Queries

__all__ = [
    "Crowds",
    "Eight",
    "Visit",
    "Waiting",
    "at_once",
    "crowd",
    "crowds",
    "eight",
    "memory",
    "one_client",
    "visit",
]

QUERY = 0.1  # seconds that each request waits for the database
CLIENTS = 1000
ASYNC = "async"


async def crowd(
    server: Startable,
    clients: int,
    *,
    requests: int | None = None,
    warm_up: int = 0,
    progress: bool = True,
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
            ask,
            clients=clients,
            requests=requests or clients,
            warm_up=warm_up,
            progress=progress,
        )


class Visit(NamedTuple):
    """When all clients asked (perf_counter, s), and what the server then handled."""

    asked: float
    handled: list[Handled]

    @property
    def last(self) -> float:
        """Seconds until the last of them was handled."""
        return max(handled.ended for handled in self.handled) - self.asked

    @property
    def at_once(self) -> int:
        """The most requests that were handled at the same time."""
        return at_once(self.handled)


def at_once(handled: Sequence[Handled]) -> int:
    """The most requests that were handled at the same time."""
    changes = [(h.started, 1) for h in handled] + [(h.ended, -1) for h in handled]
    now = most = 0
    for _, change in sorted(changes):  # at the same moment, an end comes first
        now += change
        most = max(most, now)
    return most


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
    database: Queries | None = None,
    *,
    pool: int | None = None,
    threads: tuple[int, ...] = (1, 10, 50, 200),
) -> Crowds:
    """1,000 clients ask servers with so many threads, and then one with a loop.

    Each request waits for ``database``, an unbounded stand-in unless told. Where
    threads are few, ten clients for each ask, or the run would take minutes.
    """
    database = database or Database()

    def handler(path: str) -> str:
        return database.query(QUERY)

    async def async_handler(path: str) -> str:
        return await database.query_async(QUERY)

    results: dict[int | str, Result] = {}
    for number in threads:
        with ThreadedServer(handler, threads=number) as server:
            # With two for each connection of the pool, all of them are in use.
            waiting = min(number, 2 * pool) if pool else number
            results[number] = await crowd(server, min(CLIENTS, 10 * waiting))
    with AsyncServer(async_handler) as server:
        results[ASYNC] = await crowd(server, CLIENTS)
    return Crowds(database.name, pool, results)


async def one_client(requests: int) -> dict[str, Result]:
    """One client asks so many times, in a row, for what needs neither wait nor work."""

    def handler(path: str) -> str:
        return "hello"

    async def async_handler(path: str) -> str:
        return "hello"

    results = {}
    for server in SyncServer(handler), AsyncServer(async_handler):
        with server:
            results[server.name] = await crowd(
                server, 1, requests=requests, warm_up=requests // 10
            )
    return results


class Eight(NamedTuple):
    """How eight clients fared who asked a server at the same time."""

    seconds: float
    """Until all were answered."""
    at_once: int
    """The most requests that the server handled at the same time."""
    freeze: float | None
    """The longest that its event loop stood still, in seconds; None without one."""


async def eight(servers: Mapping[str, Server]) -> dict[str, Eight]:
    """Eight clients ask each server at once; each starts, and stops, for them."""
    seen = {}
    for name, server in servers.items():
        with server, heartbeat(server) as pulse:
            took = (await crowd(server, 8)).elapsed
        freeze = pulse.freeze if isinstance(server, AsyncServer) else None
        seen[name] = Eight(took, at_once(server.handled), freeze)
    return seen


class Waiting(NamedTuple):
    """How many requests waited, and how much memory each took, in kB."""

    threads: int
    coroutines: int
    thread_kB: float
    coroutine_kB: float


async def memory(threads: int, coroutines: int) -> Waiting:
    """What a server grows by while requests wait in it, each in a thread or coroutine.

    Each server is a process of its own, where nothing else grows. What they keep for
    a single request is not counted: that is what the one with a single thread has.
    """
    # At the same time, for a process takes a while to start.
    plain, on_threads, on_loop = await asyncio.gather(
        _most(SyncServer.in_process(_wait), clients=1),
        _most(ThreadedServer.in_process(_wait, threads=threads), threads),
        _most(AsyncServer.in_process(_wait_async), coroutines),
    )
    return Waiting(
        threads,
        coroutines,
        (on_threads - plain) / threads / 1e3,
        (on_loop - plain) / coroutines / 1e3,
    )


LONG = 1.0  # seconds: all must wait at once, also on a busy machine


def _wait(path: str) -> str:
    time.sleep(LONG)
    return "done"


async def _wait_async(path: str) -> str:
    await asyncio.sleep(LONG)
    return "done"


async def _most(server: ServerProcess, clients: int) -> int:
    """The most memory that the server had, in bytes, while so many clients waited."""
    async with server:
        with memory_of(server.pid) as memory:
            # One bar is enough for servers that run at the same time.
            await crowd(server, clients, progress=server.name == "AsyncServer")
    return memory.peak
