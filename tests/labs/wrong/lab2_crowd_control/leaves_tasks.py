"""It raises the first error, and its tasks go on."""

import asyncio

import httpx

from labs.solutions.lab2_crowd_control import fetch

CAUGHT_BY = "cancels"
SAYS = "were still there"


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(limit)
    client = httpx.AsyncClient(timeout=None)
    tasks = [fetch(client, slots, request, timeout, tries) for request in requests]
    return await asyncio.gather(*tasks)
