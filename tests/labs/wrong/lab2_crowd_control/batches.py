"""It sends one batch after another, and each waits for its slowest."""

import asyncio

import httpx

from labs.solutions.lab2_crowd_control import fetch

CAUGHT_BY = "full"
SAYS = "into batches"
ALSO_CAUGHT_BY = {
    "slots": "a batch that pauses lets nobody else in",
}


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(limit)
    texts = []
    async with httpx.AsyncClient(timeout=None) as client:
        for start in range(0, len(requests), limit):
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(fetch(client, slots, request, timeout, tries))
                        for request in requests[start : start + limit]
                    ]
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            texts += [task.result() for task in tasks]
    return texts
