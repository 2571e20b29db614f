"""helpers.lesson.fetching: one fetch in three styles."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from helpers.lesson.fetching import FetchError, fetch, fetch_future, fetch_then, then
from helpers.server import HTTPServer
from helpers.servers.directory import DirectoryServer


@pytest.fixture(scope="module")
def directory():
    with DirectoryServer(delay=0.01) as server:
        yield server


# -- one fetch -----------------------------------------------------------------------


def test_a_callback_is_never_called_at_once(directory):
    """fetch_then returns first, also when it fails without asking anybody."""

    async def main(url: str) -> list:
        order = []
        answered = asyncio.Event()

        def done(error: Exception | None, value: Any) -> None:
            order.append("done")
            answered.set()

        fetch_then(url, done)
        order.append("returned")
        await answered.wait()
        return order

    for url in (directory.make_url("/users/7"), "no address at all"):
        assert asyncio.run(main(url)) == ["returned", "done"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("{url}/users/5", "^/users/5: 404 Not Found$"),
        ("http://127.0.0.1:1/users/7", "^/users/7: Cannot connect"),
        ("no address at all", "no address at all"),
    ],
)
def test_a_failure_is_a_fetch_error(directory, address, message):
    """Whatever went wrong, it is one kind of exception, which says what."""
    url = address.format(url=directory.url)

    async def main() -> None:
        with pytest.raises(FetchError, match=message):
            await fetch(url)
        with pytest.raises(FetchError, match=message):
            await fetch_future(url)

    asyncio.run(main())


def test_an_answer_that_is_no_json_is_a_fetch_error():
    """It says so, instead of handing on a page of HTML."""

    class Page(HTTPServer):
        def routes(self):
            return [
                web.get("/html", self.html),
                web.get("/broken", self.broken),
            ]

        async def html(self, _):
            return web.Response(text="<p>", content_type="text/html")

        async def broken(self, _):
            return web.Response(text="{", content_type="application/json")

    with Page() as server:
        for path in ("/html", "/broken"):
            with pytest.raises(FetchError, match=f"^{path}: "):
                asyncio.run(fetch(server.make_url(path)))


def test_a_server_that_says_nothing_is_a_fetch_error(directory, monkeypatch):
    """The time-out has a message, though TimeoutError has none."""
    monkeypatch.setattr(
        "helpers.lesson.fetching.TIMEOUT", aiohttp.ClientTimeout(total=0.05)
    )
    with DirectoryServer(delay=60) as server:
        with pytest.raises(FetchError, match="/users/7: no answer in time"):
            asyncio.run(fetch(server.make_url("/users/7")))


# -- then ----------------------------------------------------------------------------


def test_then_chains():
    """A step may return a value or another Future; an error skips the steps."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, two = loop.create_future(), loop.create_future()
        added = then(one, lambda value: then(two, lambda other: value + other))
        one.set_result(1)
        two.set_result(2)
        assert await added == 3
        failing = loop.create_future()
        failing.set_exception(LookupError("no value"))
        steps = []
        with pytest.raises(LookupError, match="no value"):
            await then(then(failing, steps.append), steps.append)
        assert steps == []

    asyncio.run(main())
