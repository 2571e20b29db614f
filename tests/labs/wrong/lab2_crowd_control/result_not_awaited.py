"""It starts a thread, and does not await its result."""

import asyncio
import hashlib

from aiohttp import web

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "login"
SAYS = "It answered 500"


class VideoShop(Solution):
    async def login(self, request):
        password = await request.read()
        loop = asyncio.get_running_loop()
        key = loop.run_in_executor(
            None, hashlib.pbkdf2_hmac, "sha256", password, b"salt", 600_000
        )
        return web.Response(text=key.hex())
