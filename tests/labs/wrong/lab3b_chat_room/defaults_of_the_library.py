"""A ping every 20 s, as the library does by itself."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "vanished"
SAYS = "a phone in a tunnel"


async def run_room(sock, patience=20.0):
    await serve_room(Room(), sock, patience, ping_interval=20.0, ping_timeout=20.0)
