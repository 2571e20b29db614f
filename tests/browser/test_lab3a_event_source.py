"""Lab 3a against the EventSource of a real browser: the same bytes, the same events."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterable, Iterator

import pytest
from aiohttp import web
from playwright.sync_api import Browser, Page

from helpers.server import HTTPServer
from labs.checks.lab3a_hostile_stream import HostileStream, answer, say
from labs.solutions.lab3a_sse_client import listen
from tests.conftest import TIME_UNIT
from tests.labs.lab3a_streams import feed, streams_of_chance, streams_of_the_lab

TYPES = ["message", "goal", "e", "a", "b"]  # one listens to types that one knows

BOM_AND_LINE_END = re.compile(b"\xef\xbb\xbf[\r\n]")

HEAR_ALL = """([urls, types]) => Promise.all(urls.map(url => new Promise(resolve => {
    const heard = [], source = new EventSource(url);
    for (const type of types)
        source.addEventListener(type, e => heard.push([e.type, e.data, e.lastEventId]));
    source.onerror = () => { source.close(); resolve(heard); };
})))"""

LISTEN = """url => new Promise(resolve => {
    const heard = [], source = new EventSource(url);
    const hear = e => heard.push([e.type, e.data, e.lastEventId]);
    source.onmessage = hear;
    source.onerror = () => source.readyState === EventSource.CLOSED && resolve(heard);
})"""


class Streams(HTTPServer):
    """Each of the bodies as a stream of its own."""

    def __init__(self, bodies: list[bytes]) -> None:
        super().__init__()
        self.bodies = bodies

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.get("/", self.page),
            web.get(r"/{number:\d+}", self.stream),
        ]

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    async def stream(self, request: web.Request) -> web.Response:
        body = self.bodies[int(request.match_info["number"])]
        return web.Response(body=body, content_type="text/event-stream")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000 * TIME_UNIT)
    yield page
    context.close()


@pytest.mark.timeout(180 * TIME_UNIT)
def test_the_parser_reads_what_the_browser_reads(page: Page) -> None:
    """Each stream of the requirements, and hundreds of others."""
    streams = streams_of_the_lab() + streams_of_chance(300, seed=3)
    # Chromium does not see a line end directly behind a BOM: it reads BOM LF "data: x"
    # as one line. The standard's grammar has a BOM in front of any line.
    streams = [body for body in streams if not BOM_AND_LINE_END.match(body)]
    with Streams(streams) as server:
        page.goto(server.url)
        urls = [f"/{number}" for number in range(len(streams))]
        heard = page.evaluate(HEAR_ALL, [urls, TYPES])
    assert sum(map(len, heard)) > 200
    for body, events in zip(streams, heard, strict=True):
        known = [list(event) for event in feed([body])[0] if event[0] in TYPES]
        assert events == known, body


ACTS = [
    say(b"retry: 20\n\n" + "id: Zürich 9\ndata: a\n\n".encode()),
    say(b"id: 7f/3a\n\n"),
    say(b"data: b\n\n"),
    say(b"id: 8\ndata: never whole\n"),
    say(b"id\ndata: c\n\n"),
]


@pytest.mark.timeout(180 * TIME_UNIT)
@pytest.mark.parametrize("status", [204, 404, 503])
def test_the_client_comes_back_as_the_browser_does(page: Page, status: int) -> None:
    """With the same ids, the same events; and both stop at the same answers."""
    with HostileStream(*ACTS, otherwise=answer(status)) as server:
        page.goto(server.url)
        in_browser = page.evaluate(LISTEN, "/stream")
        ids_of_browser = [c.last_event_id for c in server.connections]
    heard: list = []
    with HostileStream(*ACTS, otherwise=answer(status)) as server:
        listening = end_of(listen(server.make_url("/stream"), heard.append))
        # Playwright has an event loop in our own thread.
        thread = threading.Thread(target=asyncio.run, args=[listening])
        thread.start()
        thread.join()
        ids = [c.last_event_id for c in server.connections]
    assert ids == ids_of_browser
    assert [list(event) for event in heard] == in_browser


async def end_of(listening: Coroutine) -> None:
    """To its end, be it by return or by raise."""
    await asyncio.wait([asyncio.create_task(listening)])
