"""It tries again at once, a hundred times."""

import httpx

from labs.solutions.lab1_resumable_upload import (
    GONE,
    WORTH_ANOTHER_TRY,
    create,
    find_offset,
    send,
)

CAUGHT_BY = "restart"
SAYS = "pause 0.1 s"
ALSO_CAUGHT_BY = {"gives_up": "a hundred tries in a row are not giving up"}


async def upload(url, data, client):
    location, reached, failures = None, 0, 0
    while True:
        try:
            if location is None:
                location, offset = await create(url, len(data), client), 0
            else:
                offset = await find_offset(location, client)
            if offset > reached:
                reached, failures = offset, 0
            if offset < len(data):
                await send(location, data[offset:], offset, client)
            return location
        except httpx.HTTPStatusError as error:
            problem, status = error, error.response.status_code
            if status in GONE and location is not None:
                location = None  # the upload is gone, the file is not
            elif status not in WORTH_ANOTHER_TRY:
                raise
        except httpx.TransportError as error:
            problem = error
        failures += 1
        if failures == 100:
            raise problem
