"""It lets the group of errors through, as a TaskGroup makes it."""

import asyncio

import httpx

from labs.solutions.lab2_crowd_control import fetch

CAUGHT_BY = "refused"
SAYS = "unwrap the first"


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(limit)
    async with (
        httpx.AsyncClient(timeout=None) as client,
        asyncio.TaskGroup() as group,
    ):
        tasks = [
            group.create_task(fetch(client, slots, request, timeout, tries))
            for request in requests
        ]
    return [task.result() for task in tasks]
