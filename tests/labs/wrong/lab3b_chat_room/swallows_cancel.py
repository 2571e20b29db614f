"""It catches CancelledError, and returns."""

import asyncio

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "stopped"
SAYS = "Whoever cancels waits for CancelledError"


async def run_room(sock, patience=20.0):
    try:
        await serve_room(Room(), sock, patience)
    except asyncio.CancelledError:
        pass
