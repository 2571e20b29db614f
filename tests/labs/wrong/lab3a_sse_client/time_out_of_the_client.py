"""It leaves the time-out to httpx."""

import asyncio

import httpx

from labs.solutions.lab3a_sse_client import EventStream as Stream
from labs.solutions.lab3a_sse_client import hear

CAUGHT_BY = "quiet"
SAYS = "unless you say otherwise"


async def listen(url, on_event):
    last_event_id, pause = "", 0.5
    async with httpx.AsyncClient() as client:
        while True:
            stream = Stream(last_event_id)
            try:
                if not await hear(client, url, stream, on_event):
                    return
            except httpx.TransportError:
                pass
            last_event_id = stream.last_event_id
            if stream.retry is not None:
                pause = stream.retry
            await asyncio.sleep(pause)
