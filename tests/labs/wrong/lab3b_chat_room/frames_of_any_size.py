"""max_size is what the library has: 1 MiB."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "too_long"
SAYS = "was read to its end"


async def run_room(sock, patience=20.0):
    await serve_room(Room(), sock, patience, max_size=2**20)
