"""It has one thread for all that blocks."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "crowd"
SAYS = "more than one thread"


class VideoShop(Solution):
    def __init__(self, folder, bank):
        super().__init__(folder, bank)
        self.thread = ThreadPoolExecutor(1)

    async def subtitles(self, request):
        path = self.folder / request.match_info["name"]
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(self.thread, path.read_text)
        return web.Response(text=text)
