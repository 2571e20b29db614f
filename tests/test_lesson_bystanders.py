"""helpers.lesson.bystanders."""

import asyncio
import time

import httpx
import pytest
from aiohttp import web

from helpers.lesson.bystanders import BlockingNode, bystanders
from helpers.server import HTTPServer
from helpers.servers.slow_file import SlowFile


class Kitchen(HTTPServer):
    """/quick answers at once, /slow blocks, /broken fails."""

    def routes(self):
        return [
            web.get("/quick", self.quick),
            web.get("/slow", self.slow),
            web.get("/broken", self.broken),
        ]

    async def quick(self, request):
        return web.Response(text="here")

    async def slow(self, request):
        time.sleep(0.3)  # noqa: ASYNC251 - the freeze is what is looked at
        return web.Response(text="at last")

    async def broken(self, request):
        raise web.HTTPInternalServerError


def test_others_ask_before_during_and_after_the_slow_request():
    """And the freeze shows in how long they wait."""
    with Kitchen() as server:
        seen = asyncio.run(bystanders(server, "/slow", rate=100))
    asked, answered = seen.slow
    assert seen.answer == "at last"
    assert answered - asked >= 0.3
    assert any(sent < asked for sent, _ in seen.others)
    assert any(asked < sent < answered for sent, _ in seen.others)
    assert any(sent > answered for sent, _ in seen.others)
    assert seen.worst > 0.1


def test_an_error_of_the_slow_request_is_raised():
    """A picture of a request that failed would show nothing."""
    with Kitchen() as server, pytest.raises(httpx.HTTPStatusError, match="500"):
        asyncio.run(bystanders(server, "/broken", before=0.01))


def test_beats_of_another_process_are_on_this_clock():
    """Node.js's seconds since 1970 become perf_counter seconds."""
    with SlowFile(seconds=0.2) as file, BlockingNode(file.path) as node:
        before = time.perf_counter()
        seen = asyncio.run(bystanders(node, "/sync", before=0.05))
        beats = asyncio.run(node.beats())
        after = time.perf_counter()
    assert seen.answer.startswith("These bytes")
    moment, freeze = max(beats, key=lambda beat: beat[1])
    assert freeze >= 0.9 * 0.2
    assert before - 0.05 <= moment <= after + 0.05  # the two clocks tick apart
