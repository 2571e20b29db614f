"""It serves, and does not wait."""

from websockets.asyncio.server import serve

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import options

CAUGHT_BY = "broadcast"
SAYS = "nobody had cancelled it"


async def run_room(sock, patience=20.0):
    async with serve(Room().handler, sock=sock, **options(patience)):
        pass
