"""It tells a price without asking for it."""

from aiohttp import web

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "price"
SAYS = "without asking the bank"
ALSO_CAUGHT_BY = {
    "crowd": "nobody is asked, so nobody waits",
}


class VideoShop(Solution):
    async def price(self, request):
        return web.Response(text="1.99")
