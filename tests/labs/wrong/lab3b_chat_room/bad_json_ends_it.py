"""What is no JSON ends the connection."""

import json

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "checked"
SAYS = "Ada sent 'hello' (this is no JSON). It lost its connection by that"


class WrongRoom(Room):
    def receive(self, websocket, frame):
        json.loads(frame)
        super().receive(websocket, frame)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
