"""It knows one limit only: 20."""

import asyncio

import httpx

from labs.solutions.lab2_crowd_control import fetch

CAUGHT_BY = "limited"
SAYS = "It is an argument"


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(20)
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
