"""It takes the size of the frame for the length of the text."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "too_long"
SAYS = "count the characters"


async def run_room(sock, patience=20.0):
    await serve_room(Room(), sock, patience, max_size=4_000)
