"""helpers.lesson.crowd."""

import asyncio
import time

from aiohttp import web

from helpers.lesson.crowd import (
    Crowds,
    at_once,
    crowd,
    crowds,
    eight,
    memory,
    one_client,
    visit,
)
from helpers.measure import Result
from helpers.server import HTTPServer
from helpers.servers.concurrency import AsyncServer, Handled, SyncServer
from helpers.servers.database import Database


class Meeting(HTTPServer):
    """Answers nobody before ``party`` clients are there."""

    def __init__(self, party: int) -> None:
        super().__init__()
        self.party = party
        self.there = 0

    def routes(self):
        self.complete = asyncio.Event()
        return [web.get("/", self.join)]

    async def join(self, request):
        self.there += 1
        if self.there == self.party:
            self.complete.set()
        await self.complete.wait()
        return web.Response(text="all here")


def test_all_ask_at_the_same_time():
    """More clients than the 100 that aiohttp would let through at once."""
    with Meeting(150) as server:
        result = asyncio.run(crowd(server, 150))
    assert result.succeeded == 150


def test_a_few_clients_can_ask_often():
    """``requests`` counts all of them together; warm-up goes before, uncounted."""
    with Meeting(1) as server:
        result = asyncio.run(crowd(server, 2, requests=20, warm_up=5))
        assert result.succeeded == 20
        assert server.requests == 25


class Refusing(HTTPServer):
    def routes(self):
        return [web.get("/", self.refuse)]

    async def refuse(self, request):
        raise web.HTTPServiceUnavailable


def test_a_refusal_is_an_error():
    """An answer that says no is none that counts."""
    with Refusing() as server:
        result = asyncio.run(crowd(server, 3))
    assert result.errors.total() == 3


def test_a_visit_tells_when_all_asked_and_what_was_handled():
    """The last answer of a server with one thread comes after all waits in a row."""
    seen = asyncio.run(visit(SyncServer(lambda path: time.sleep(0.02) or "x"), 5))
    assert len(seen.handled) == 5
    assert all(seen.asked <= handled.started for handled in seen.handled)
    assert seen.last >= 5 * 0.02
    assert seen.at_once == 1


def test_crowds_ask_each_server_once():
    """Ten clients a thread, 1,000 at most, and 1,000 for the event loop."""
    seen = asyncio.run(crowds(Database(workers=20), pool=20, threads=(1, 3)))
    assert {n: result.requests for n, result in seen.results.items()} == {
        1: 10,
        3: 30,
        "async": 1000,
    }
    assert not any(result.errors for result in seen.results.values())
    assert seen.rate("async") <= 1.02 * 200


def test_littles_law_takes_the_smallest_bound():
    """Clients, threads or the pool: whichever lets fewest wait at once."""
    results = {
        threads: Result([0.1] * clients, elapsed=1.0)
        for threads, clients in {1: 10, 50: 500, "async": 1000}.items()
    }
    free = Crowds("any", None, results)
    pooled = Crowds("any", 20, results)
    assert [round(free.expected(n)) for n in results] == [10, 500, 10_000]
    assert [round(pooled.expected(n)) for n in results] == [10, 200, 200]
    assert free.rate(50) == 500


def test_one_client_asks_both_kinds_of_server():
    """In a row, by the same client."""
    results = asyncio.run(one_client(requests=20))
    assert {name: r.succeeded for name, r in results.items()} == {
        "SyncServer": 20,
        "AsyncServer": 20,
    }


def test_eight_clients_feel_a_loop_that_blocks():
    """How long it all took, and how long the loop stood still."""

    async def block(path):
        time.sleep(0.05)  # noqa: ASYNC251 - that is what is felt
        return "x"

    async def wait(path):
        await asyncio.sleep(0.05)
        return "x"

    servers = {"rude": AsyncServer(block), "polite": AsyncServer(wait)}
    servers["none"] = SyncServer(lambda path: time.sleep(0.01) or "x")
    seen = asyncio.run(eight(servers))
    assert seen["rude"].seconds >= 8 * 0.05
    assert seen["rude"].at_once == 1
    assert seen["polite"].at_once > 1
    assert seen["polite"].freeze < seen["rude"].freeze
    assert seen["none"].freeze is None


def test_a_waiting_thread_takes_more_memory_than_a_coroutine():
    """Measured in processes of their own, in kB for each request."""
    grown = asyncio.run(memory(threads=100, coroutines=300))
    assert (grown.threads, grown.coroutines) == (100, 300)
    assert 0 < grown.coroutine_kB < grown.thread_kB


def test_at_once_counts_those_that_overlap():
    """One that begins as another ends does not overlap it."""
    row = [Handled("/1", 0, 1), Handled("/2", 1, 2), Handled("/3", 2, 3)]
    assert at_once(row) == 1
    assert at_once([*row, Handled("/4", 0.5, 2.5)]) == 2
    assert at_once([]) == 0
