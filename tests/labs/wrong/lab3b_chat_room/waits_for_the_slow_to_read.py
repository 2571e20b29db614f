"""Its goodbye waits behind all that the slow one does not read."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "stopped"
SAYS = "without end where it reads nothing"


async def run_room(sock, patience=20.0):
    await serve_room(Room(), sock, patience, write_limit=2**15)
