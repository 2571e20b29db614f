"""helpers.lesson.crowd."""

import asyncio

from aiohttp import web

from helpers.lesson.crowd import crowd
from helpers.server import HTTPServer


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
