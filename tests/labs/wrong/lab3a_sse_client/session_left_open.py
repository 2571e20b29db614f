"""It opens a session for all times, and never closes it."""

import asyncio

import aiohttp

from labs.solutions.lab3a_sse_client import EventStream as Stream

CAUGHT_BY = "tidy"
SAYS = "its connection was still open"


SESSION = None


async def listen(url, on_event):
    global SESSION
    clock = aiohttp.ClientTimeout(total=None, sock_connect=10)
    SESSION = SESSION or aiohttp.ClientSession(timeout=clock)
    last_event_id, pause = "", 0.5
    while True:
        stream = Stream(last_event_id)
        try:
            if not await hear(stream, url, on_event):
                return
        except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
            pass
        last_event_id = stream.last_event_id
        if stream.retry is not None:
            pause = stream.retry
        await asyncio.sleep(pause)


async def hear(stream, url, on_event):
    headers = {"Accept": "text/event-stream"}
    if stream.last_event_id:
        headers["Last-Event-ID"] = stream.last_event_id
    async with SESSION.get(url, headers=headers) as response:
        if response.status == 204:
            return False
        response.raise_for_status()
        if response.content_type.lower() != "text/event-stream":
            raise ValueError(f"this is no event stream, but {response.content_type}")
        async for chunk in response.content.iter_any():
            for event in stream.feed(chunk):
                on_event(event)
    return True
