"""One workflow in three styles: a user, then two lists at the same time, combined.

The same three stand in Node.js in ``SCRIPT``; all six come to the same. ``user`` is
the address of a user of :class:`~helpers.servers.directory.DirectoryServer`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from helpers.engines.node import Node
from helpers.lesson.fetching import FetchError, fetch, fetch_future, fetch_then, then

__all__ = [
    "ASYNC",
    "CALLBACKS",
    "PROMISES",
    "SCRIPT",
    "STYLES",
    "all_six",
    "in_each_style",
    "in_node",
    "profile",
    "profile_future",
    "profile_then",
]

SCRIPT = Path(__file__).parent / "content" / "02" / "workflow.js"


# -- the three, as the notebook shows them -------------------------------------------


def profile_then(user: str, done: Callable) -> None:
    def got_person(error, person):
        if error:
            return done(error, None)
        found = {}

        def got_list(kind, error, items):
            if "error" in found:  # the caller knows already
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
            fetch_future(f"{user}/videos"),
            fetch_future(f"{user}/friends"),
        )
        return then(lists, lambda found: combine(person, *found))

    return then(fetch_future(user), got_person)


async def profile(user: str) -> dict:
    person = await fetch(user)
    async with asyncio.TaskGroup() as group:
        videos = group.create_task(fetch(f"{user}/videos"))
        friends = group.create_task(fetch(f"{user}/friends"))
    return combine(person, videos.result(), friends.result())


# -- all three -----------------------------------------------------------------------


def combine(person: dict, videos: list, friends: list) -> dict:
    """What a profile shows: a name, and how many of each."""
    return {"name": person["name"], "videos": len(videos), "friends": len(friends)}


async def by_callbacks(user: str) -> dict[str, Any]:
    """The profile, or {"error": message}: what the callback gets."""
    answered = asyncio.get_running_loop().create_future()
    # A second call would raise InvalidStateError: the caller must hear once.
    profile_then(user, lambda error, value: answered.set_result((error, value)))
    error, value = await answered
    return {"error": str(error)} if error else value


async def by_futures(user: str) -> dict[str, Any]:
    """The same, of what the Future holds."""
    try:
        return await profile_future(user)
    except FetchError as error:
        return {"error": str(error)}


async def by_coroutines(user: str) -> dict[str, Any]:
    """The same, of what the coroutine returns or raises."""
    try:
        return await profile(user)
    except FetchError as error:  # the first fetch runs alone
        return {"error": str(error)}
    except ExceptionGroup as group:  # of the two that ran at the same time
        return {"error": str(group.exceptions[0])}


# What the notebook shows of each: Python and Node.js, and how the error is caught.
CALLBACKS = (profile_then, (SCRIPT, "profileThen"), fetch_then)
PROMISES = (profile_future, (SCRIPT, "profilePromise"), by_futures)
ASYNC = (profile, (SCRIPT, "profile"), by_coroutines, (SCRIPT, "main"))

STYLES = {"callbacks": by_callbacks, "futures": by_futures, "async": by_coroutines}


async def in_each_style(user: str) -> dict[str, dict[str, Any]]:
    """The profile, or {"error": message}, by style."""
    return {name: await style(user) for name, style in STYLES.items()}


async def in_node(user: str) -> dict[str, dict[str, Any]]:
    """The same from Node.js: by callbacks, promises, async. Nothing without Node.js."""
    if missing := Node.why_not():
        print(missing)
        return {}
    address = urlsplit(user)
    base, number = f"http://{address.netloc}", Path(address.path).name
    return json.loads(await asyncio.to_thread(Node.run, SCRIPT, base, number))


async def all_six(user: str) -> dict[str, dict[str, Any]]:
    """The profile, or {"error": message}, by language and style."""
    ours, nodes = await in_each_style(user), await in_node(user)
    return {f"Python, {style}": told for style, told in ours.items()} | {
        f"Node.js, {style}": told for style, told in nodes.items()
    }
