"""It waits for each answer before it sends the next request."""

import asyncio

import httpx

from labs.solutions.lab2_crowd_control import fetch

CAUGHT_BY = "full"
SAYS = "in a plain loop"
ALSO_CAUGHT_BY = {
    "slots": "while it pauses it does nothing else",
    "pauses": "one alone is no crowd that fails together",
    "jitter": "one alone is no crowd that fails together",
}


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(limit)
    async with httpx.AsyncClient(timeout=None) as client:
        return [
            await fetch(client, slots, request, timeout, tries) for request in requests
        ]
