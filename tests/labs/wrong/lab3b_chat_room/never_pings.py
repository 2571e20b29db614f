"""It asks nobody whether it is still there."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "vanished"
SAYS = "a phone in a tunnel"


async def run_room(sock, patience=20.0):
    await serve_room(Room(), sock, patience, ping_interval=None)
