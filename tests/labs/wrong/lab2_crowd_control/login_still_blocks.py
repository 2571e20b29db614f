"""It made the login a coroutine, which does not make it wait."""

import asyncio
import hashlib

from aiohttp import web

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "login"
SAYS = "to compute is to hold the event loop"


class VideoShop(Solution):
    async def login(self, request):
        password = await request.read()
        await asyncio.sleep(0)  # let others go first
        key = hashlib.pbkdf2_hmac("sha256", password, b"salt", 600_000)
        return web.Response(text=key.hex())
