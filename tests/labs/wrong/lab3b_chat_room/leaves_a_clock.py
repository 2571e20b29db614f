"""A task of its own ticks on."""

import asyncio

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "stopped"
SAYS = "tasks of it are still there"


async def tick():
    while True:  # noqa: ASYNC110
        await asyncio.sleep(1)


async def run_room(sock, patience=20.0):
    clock = asyncio.create_task(tick(), name="clock")
    await serve_room(Room(), sock, patience)
    clock.cancel()
