"""It puts an error where an answer should be."""

import asyncio

import httpx

from labs.solutions.lab2_crowd_control import fetch

CAUGHT_BY = "refused"
SAYS = "believes that all went well"
ALSO_CAUGHT_BY = {
    "gives_up": "the last error, too, is returned",
    "cancels": "who collects errors waits for all",
}


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(limit)
    async with httpx.AsyncClient(timeout=None) as client:
        tasks = [fetch(client, slots, request, timeout, tries) for request in requests]
        found = await asyncio.gather(*tasks, return_exceptions=True)
    return [str(one) for one in found]
