"""It gives up when nobody listens."""

import asyncio

import httpx

from labs.solutions.lab3a_sse_client import EventStream as Stream
from labs.solutions.lab3a_sse_client import hear

CAUGHT_BY = "comes_back"
SAYS = "is no reason to give up"


async def listen(url, on_event):
    last_event_id, pause = "", 0.5
    timeout = httpx.Timeout(10, read=None)
    async with httpx.AsyncClient(timeout=timeout) as client:
        while True:
            stream = Stream(last_event_id)
            try:
                if not await hear(client, url, stream, on_event):
                    return
            except (httpx.ReadError, httpx.RemoteProtocolError):
                pass
            last_event_id = stream.last_event_id
            if stream.retry is not None:
                pause = stream.retry
            await asyncio.sleep(pause)
