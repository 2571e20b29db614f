"""broadcast() alone: nobody looks how much waits."""

import json

from websockets.asyncio.server import broadcast

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "bounded"
SAYS = "Where do they wait?"


class WrongRoom(Room):
    def send(self, websockets, message):
        broadcast(websockets, json.dumps(message))


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
