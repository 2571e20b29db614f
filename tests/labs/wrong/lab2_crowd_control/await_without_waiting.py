"""It wrapped the blocking call in an async def, and awaits that."""

import httpx
from aiohttp import web

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "price"
SAYS = "also inside an async def"
ALSO_CAUGHT_BY = {
    "crowd": "where the loop is blocked, one is served at a time",
}


class VideoShop(Solution):
    async def price(self, request):
        return web.Response(text=await self.ask_bank())

    async def ask_bank(self):
        return httpx.get(self.bank).text  # noqa: ASYNC210
