"""It ends when it is cancelled, as if it were done."""

import asyncio

import httpx

from labs.solutions.lab2_crowd_control import fetch

CAUGHT_BY = "cancelled"
SAYS = "Whoever cancels waits for CancelledError"


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    try:
        return await all_of(requests, limit, timeout, tries)
    except asyncio.CancelledError:
        return []


async def all_of(requests, limit, timeout, tries):
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
