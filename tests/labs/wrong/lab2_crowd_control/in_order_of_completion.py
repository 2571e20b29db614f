"""It returns the answers as they come."""

import asyncio

import httpx

from labs.solutions.lab2_crowd_control import fetch

CAUGHT_BY = "delivers"
SAYS = "in the order in which they came"


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(limit)
    async with httpx.AsyncClient(timeout=None) as client:
        tasks = [
            asyncio.create_task(fetch(client, slots, request, timeout, tries))
            for request in requests
        ]
        return [await task for task in asyncio.as_completed(tasks)]
