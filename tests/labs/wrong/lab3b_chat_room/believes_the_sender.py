"""It passes on all that a client sent, with the name in it."""

import json

from labs.solutions.lab3b_chat_room import Room, read
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "exact"
SAYS = "Take the name of the connection"


class WrongRoom(Room):
    def receive(self, websocket, frame):
        try:
            read(frame)
        except ValueError:
            super().receive(websocket, frame)
            return
        message = {"from": self.members[websocket], **json.loads(frame)}
        message["type"] = "message"
        self.history.append(message)
        self.send(self.members, message)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
