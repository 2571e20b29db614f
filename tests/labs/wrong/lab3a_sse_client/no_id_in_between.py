"""Each stream begins without an id."""

import asyncio

import httpx

from labs.solutions.lab3a_sse_client import EventStream as Stream

CAUGHT_BY = "any_id"
SAYS = "so the older one still holds"
ALSO_CAUGHT_BY = {
    "resumes": "a connection without a word takes the id away, too",
}


async def listen(url, on_event):
    last_event_id, pause = "", 0.5
    timeout = httpx.Timeout(10, read=None)
    async with httpx.AsyncClient(timeout=timeout) as client:
        while True:
            stream = Stream()
            try:
                if not await hear(client, url, stream, last_event_id, on_event):
                    return
            except httpx.TransportError:
                pass
            last_event_id = stream.last_event_id
            if stream.retry is not None:
                pause = stream.retry
            await asyncio.sleep(pause)


async def hear(client, url, stream, last_event_id, on_event):
    headers = {"Accept": "text/event-stream"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id.encode()
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 204:
            return False
        response.raise_for_status()
        kind = response.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            raise ValueError(f"this is no event stream, but {kind!r}")
        async for chunk in response.aiter_bytes():
            for event in stream.feed(chunk):
                on_event(event)
    return True
