"""Its client is never closed."""

import httpx
from aiohttp import web

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "crowd"
SAYS = "connection to the bank was still open"


class VideoShop(Solution):
    client = None

    async def price(self, request):
        self.client = self.client or httpx.AsyncClient()
        answer = await self.client.get(self.bank)
        return web.Response(text=answer.text)
