"""It tries for as long as it takes, and longer."""

import asyncio

import httpx

from labs.solutions.lab1_resumable_upload import (
    GONE,
    WORTH_ANOTHER_TRY,
    create,
    find_offset,
    send,
)

CAUGHT_BY = "gives_up"
SAYS = "Nobody waits"


async def upload(url, data, client):
    location = None
    while True:
        try:
            if location is None:
                location, offset = await create(url, len(data), client), 0
            else:
                offset = await find_offset(location, client)
            if offset < len(data):
                await send(location, data[offset:], offset, client)
            return location
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status in GONE and location is not None:
                location = None  # the upload is gone, the file is not
            elif status not in WORTH_ANOTHER_TRY:
                raise
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
