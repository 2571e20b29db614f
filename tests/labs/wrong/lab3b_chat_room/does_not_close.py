"""It begins to serve, and never closes."""

import asyncio

from websockets.asyncio.server import serve

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import options

CAUGHT_BY = "stopped"
SAYS = "tasks of it are still there"


async def run_room(sock, patience=20.0):
    await serve(Room().handler, sock=sock, **options(patience))
    await asyncio.Future()
