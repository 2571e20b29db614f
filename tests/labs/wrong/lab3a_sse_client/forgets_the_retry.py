"""Each stream begins with a pause of its own."""

import asyncio

import httpx

from labs.solutions.lab3a_sse_client import EventStream as Stream
from labs.solutions.lab3a_sse_client import hear

CAUGHT_BY = "heeds_retry"
SAYS = "A new stream has no retry yet"


async def listen(url, on_event):
    last_event_id, pause = "", 0.5
    timeout = httpx.Timeout(10, read=None)
    async with httpx.AsyncClient(timeout=timeout) as client:
        while True:
            stream = Stream(last_event_id)
            try:
                if not await hear(client, url, stream, on_event):
                    return
            except httpx.TransportError:
                pass
            last_event_id = stream.last_event_id
            await asyncio.sleep(pause if stream.retry is None else stream.retry)
