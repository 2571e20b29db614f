"""It returns when it is refused."""

import asyncio

import httpx

from labs.solutions.lab3a_sse_client import EventStream as Stream

CAUGHT_BY = "refused"
SAYS = "believes that all events were heard"


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
            if stream.retry is not None:
                pause = stream.retry
            await asyncio.sleep(pause)


async def hear(client, url, stream, on_event):
    headers = {"Accept": "text/event-stream"}
    if stream.last_event_id:
        headers["Last-Event-ID"] = stream.last_event_id.encode()
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 204:
            return False
        if response.status_code != 200:
            return False
        kind = response.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            raise ValueError(f"this is no event stream, but {kind!r}")
        async for chunk in response.aiter_bytes():
            for event in stream.feed(chunk):
                on_event(event)
    return True
