"""It goes on with what a cut left unfinished."""

import asyncio

import httpx

from labs.solutions.lab3a_sse_client import EventStream as Stream
from labs.solutions.lab3a_sse_client import hear

CAUGHT_BY = "cut_short"
SAYS = "begins with a new EventStream"


async def listen(url, on_event):
    stream, pause = Stream(), 0.5
    timeout = httpx.Timeout(10, read=None)
    async with httpx.AsyncClient(timeout=timeout) as client:
        while True:
            try:
                if not await hear(client, url, stream, on_event):
                    return
            except httpx.TransportError:
                pass
            pause = pause if stream.retry is None else stream.retry
            await asyncio.sleep(pause)
