"""It reads in a task, and does not end that."""

import asyncio

import httpx

from labs.solutions.lab3a_sse_client import EventStream as Stream
from labs.solutions.lab3a_sse_client import hear

CAUGHT_BY = "tidy"
SAYS = "tasks of its own were still there"


async def listen(url, on_event):
    last_event_id, pause = "", 0.5
    while True:
        stream = Stream(last_event_id)
        try:
            hearing = asyncio.create_task(hear_alone(url, stream, on_event))
            if not await asyncio.shield(hearing):
                return
        except httpx.TransportError:
            pass
        last_event_id = stream.last_event_id
        if stream.retry is not None:
            pause = stream.retry
        await asyncio.sleep(pause)


async def hear_alone(url, stream, on_event):
    timeout = httpx.Timeout(10, read=None)
    async with httpx.AsyncClient(timeout=timeout) as client:
        return await hear(client, url, stream, on_event)
