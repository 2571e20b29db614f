"""Its lock lets in one after another."""

import asyncio

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "crowd"
SAYS = "no lock around it"


class VideoShop(Solution):
    def __init__(self, folder, bank):
        super().__init__(folder, bank)
        self.lock = asyncio.Lock()

    async def subtitles(self, request):
        async with self.lock:
            return await super().subtitles(request)

    async def price(self, request):
        async with self.lock:
            return await super().price(request)
