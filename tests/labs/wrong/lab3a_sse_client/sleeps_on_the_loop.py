"""It waits with time.sleep()."""

import time

import httpx

from labs.solutions.lab3a_sse_client import EventStream as Stream
from labs.solutions.lab3a_sse_client import hear

CAUGHT_BY = "unblocked"
SAYS = "hold the only thread that there is"
ALSO_CAUGHT_BY = {
    "cancelled": "nobody can cancel what holds the loop",
}


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
            time.sleep(pause)  # noqa: ASYNC251
