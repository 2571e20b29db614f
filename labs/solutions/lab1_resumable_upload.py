"""One way to solve lab 1: ask, send the rest, and after any trouble ask again."""

import asyncio

import httpx

SILENCE = 1.0  # seconds without a sign of life, and a connection counts as dead
FIRST_PAUSE = 0.1  # seconds; each further one is twice as long
TRIES = 6  # in a row that move nothing

TUS = {"Tus-Resumable": "1.0.0"}
GONE = (404, 410)
WORTH_ANOTHER_TRY = (409, 423, 429, *range(500, 600))


async def upload(url: str, data: bytes, client: httpx.AsyncClient) -> str:
    """Upload ``data`` by tus 1.0.0 and return the upload's address.

    Raises httpx.HTTPStatusError when the server refuses for good, and the last error
    when several tries in a row moved nothing.
    """
    location, reached, failures = None, 0, 0
    while True:
        try:
            if location is None:
                location = await create(url, len(data), client)
                offset = 0
            else:
                offset = await find_offset(location, client)
            if offset > reached:  # it moves: this is not a dead end
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
        except httpx.TransportError as error:  # cut, silent, or nobody there
            problem = error
        failures += 1
        if failures == TRIES:
            raise problem
        await asyncio.sleep(FIRST_PAUSE * 2 ** (failures - 1))


async def create(url: str, length: int, client: httpx.AsyncClient) -> str:
    headers = TUS | {"Upload-Length": str(length)}
    response = await client.post(url, headers=headers, timeout=SILENCE)
    response.raise_for_status()
    # Location may be relative to the address asked (RFC 9110, section 10.2.2).
    return str(response.url.join(response.headers["Location"]))


async def find_offset(location: str, client: httpx.AsyncClient) -> int:
    response = await client.head(location, headers=TUS, timeout=SILENCE)
    response.raise_for_status()
    return int(response.headers["Upload-Offset"])


async def send(
    location: str, rest: bytes, offset: int, client: httpx.AsyncClient
) -> None:
    headers = TUS | {
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
    }
    response = await client.patch(
        location, content=rest, headers=headers, timeout=SILENCE
    )
    response.raise_for_status()
