"""It turns into a text whatever comes."""

import json

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "checked"
SAYS = "The others heard it"


class WrongRoom(Room):
    def receive(self, websocket, frame):
        try:
            document = json.loads(frame)
            frame = json.dumps({"text": str(document["text"])})
        except (ValueError, TypeError, KeyError):
            pass
        super().receive(websocket, frame)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
