"""It unfreezes the login by computing less."""

import hashlib

from aiohttp import web

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "login"
SAYS = "The answer is not what it was"


class VideoShop(Solution):
    async def login(self, request):
        password = await request.read()
        key = hashlib.pbkdf2_hmac("sha256", password, b"salt", 1_000)
        return web.Response(text=key.hex())
