"""It unfroze two of three: a file is still read on the loop."""

from aiohttp import web

from labs.solutions.lab2_crowd_control import VideoShop as Solution

CAUGHT_BY = "subtitles"
SAYS = "files know no await"
ALSO_CAUGHT_BY = {
    "crowd": "where the loop is blocked, one is served at a time",
}


class VideoShop(Solution):
    async def subtitles(self, request):
        path = self.folder / request.match_info["name"]
        return web.Response(text=path.read_text())
