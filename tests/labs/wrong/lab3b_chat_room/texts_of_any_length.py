"""The frame is bounded, the text is not."""

import json

from labs.solutions.lab3b_chat_room import LONGEST, Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "too_long"
SAYS = "Ada sent 2,001 characters"


class WrongRoom(Room):
    def receive(self, websocket, frame):
        try:
            text = json.loads(frame)["text"]
            too_long = len(text) > LONGEST
        except (ValueError, TypeError, KeyError):
            too_long = False
        if not too_long:
            super().receive(websocket, frame)
            return
        name = self.members[websocket]
        self.send(self.members, {"type": "message", "from": name, "text": text})


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
