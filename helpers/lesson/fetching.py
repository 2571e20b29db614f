"""One fetch in three styles: with a callback, with a Future, with a coroutine.

All three run on the same loop and do the same request; they differ in how the answer
and the error come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import aiohttp

__all__ = ["FetchError", "fetch", "fetch_future", "fetch_then", "then"]

TIMEOUT = aiohttp.ClientTimeout(total=10)  # seconds

# The loop itself refers to its tasks only weakly.
_running: set[asyncio.Task] = set()


class FetchError(Exception):
    """The answer was no JSON with a status below 400, or there was no answer."""


async def fetch(url: str) -> Any:
    """Coroutine style: ``value = await fetch(url)``, the parsed JSON.

    Raises FetchError for a status of 400 and above, for an answer that is no JSON, and
    when none came within 10 s.
    """
    path = urlsplit(url).path
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(url) as answer,
        ):
            if answer.status >= 400:
                raise FetchError(f"{path}: {answer.status} {answer.reason}")
            return await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        reason = str(error) or "no answer in time"
        raise FetchError(f"{path}: {reason}") from error


def fetch_future(url: str) -> asyncio.Future[Any]:
    """Future style: returns at once what will hold the value, or the FetchError."""
    return _start(fetch(url))


def fetch_then(url: str, done: Callable[[FetchError | None, Any], object]) -> None:
    """Callback style: returns at once; later the loop calls ``done(error, value)``.

    Once, and never before this function has returned. One of the two is None: the
    error comes first, as in Node.js, so that nobody overlooks it. There is nothing
    to cancel it by; when the loop ends first, ``done`` is not called.
    """

    def deliver(future: asyncio.Future) -> None:
        if future.cancelled():  # the loop ends
            return
        error = future.exception()
        done(error, None if error else future.result())

    fetch_future(url).add_done_callback(deliver)  # by call_soon, even if it is done


def then(
    future: asyncio.Future[Any], step: Callable[[Any], Any]
) -> asyncio.Future[Any]:
    """The Future of ``step(value)``: what a promise has and asyncio's Future lacks.

    ``step`` may return a value, or another Future to wait for. When ``future`` fails
    the step is left out, and its error becomes the error of the Future returned.
    """

    async def chain() -> Any:
        value = step(await future)
        return await value if isinstance(value, asyncio.Future) else value

    return _start(chain())


def _start(coroutine: Coroutine) -> asyncio.Task:
    task = asyncio.get_running_loop().create_task(coroutine)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
