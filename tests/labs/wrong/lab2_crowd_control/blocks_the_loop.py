"""It pauses by time.sleep(), and all pause with it."""

import asyncio
import random
import time

import httpx

from labs.solutions.lab2_crowd_control import FIRST_PAUSE, NOT_NOW, REPEATABLE, ask

CAUGHT_BY = "unblocked"
SAYS = "time.sleep("
ALSO_CAUGHT_BY = {
    "pauses": "pauses that follow one another take too long",
    "jitter": "pauses that follow one another take too long",
}
PERHAPS_CAUGHT_BY = {
    "time_out": "the pause of one may use up the time of the others",
    "turn": "the pause of one may use up the time of the others",
}


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(limit)
    async with httpx.AsyncClient(timeout=None) as client:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(fetch(client, slots, request, timeout, tries))
                    for request in requests
                ]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def fetch(client, slots, request, timeout, tries):
    method, _, headers = request
    may_repeat = method in REPEATABLE or "Idempotency-Key" in headers
    for attempt in range(tries):
        try:
            async with slots:
                return await ask(client, request, timeout)
        except httpx.HTTPStatusError as error:
            problem, hope = error, error.response.status_code in NOT_NOW
        except (httpx.TransportError, TimeoutError) as error:
            problem, hope = error, True
        if not (hope and may_repeat and attempt + 1 < tries):
            raise problem
        pause = FIRST_PAUSE * 2**attempt
        time.sleep(random.uniform(pause / 2, pause))  # noqa: ASYNC251
