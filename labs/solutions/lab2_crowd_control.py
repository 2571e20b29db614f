"""One way to solve lab 2: a semaphore for the crowd, a TaskGroup for its end."""

import asyncio
import hashlib
import random

import httpx
from aiohttp import web

from helpers.server import HTTPServer

# -- part 1 ---------------------------------------------------------------------------

FIRST_PAUSE = 0.1  # seconds; each further one is twice as long
NOT_NOW = (429, 503)
REPEATABLE = ("GET", "HEAD", "PUT", "DELETE")  # RFC 9110, section 9.2.2


async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    """The text of each answer, in the order of the requests.

    Raises the first error that is final, after all that went on was cancelled.
    """
    slots = asyncio.Semaphore(limit)
    async with httpx.AsyncClient(timeout=None) as client:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(fetch(client, slots, request, timeout, tries))
                    for request in requests
                ]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def fetch(client, slots, request, timeout, tries):
    method, _, headers = request
    may_repeat = method in REPEATABLE or "Idempotency-Key" in headers
    for attempt in range(tries):
        try:
            async with slots:  # given back before the pause below
                return await ask(client, request, timeout)
        except httpx.HTTPStatusError as error:
            problem, hope = error, error.response.status_code in NOT_NOW
        except (httpx.TransportError, TimeoutError) as error:
            problem, hope = error, True
        if not (hope and may_repeat and attempt + 1 < tries):
            raise problem
        # Somewhere between half and all of it, so that a crowd does not come back
        # as one.
        pause = FIRST_PAUSE * 2**attempt
        await asyncio.sleep(random.uniform(pause / 2, pause))


async def ask(client, request, timeout):
    method, url, headers = request
    async with asyncio.timeout(timeout):  # for all of it, also for the last byte
        response = await client.request(method, url, headers=headers)
    response.raise_for_status()
    return response.text


# -- part 2 ---------------------------------------------------------------------------


class VideoShop(HTTPServer):
    """Three calls that blocked; what waits is awaited, what computes has a thread."""

    def __init__(self, folder, bank):
        super().__init__()
        self.folder, self.bank = folder, bank

    def routes(self):
        return [
            web.get("/", self.hello),
            web.get(r"/subtitles/{name:[a-z]+\.txt}", self.subtitles),
            web.get("/price", self.price),
            web.post("/login", self.login),
        ]

    async def hello(self, request):
        return web.Response(text="hello")

    async def subtitles(self, request):
        path = self.folder / request.match_info["name"]
        # Files have no await: a thread waits for them.
        return web.Response(text=await asyncio.to_thread(path.read_text))

    async def price(self, request):
        async with httpx.AsyncClient() as client:
            answer = await client.get(self.bank)
        return web.Response(text=answer.text)

    async def login(self, request):
        password = await request.read()
        # OpenSSL computes without Python's lock (the GIL), so a thread is enough.
        key = await asyncio.to_thread(
            hashlib.pbkdf2_hmac, "sha256", password, b"salt", 600_000
        )
        return web.Response(text=key.hex())
