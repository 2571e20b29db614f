"""Everybody hears of the mistake of one."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "checked"
SAYS = "told of the error"


class WrongRoom(Room):
    def send(self, websockets, message):
        if message["type"] == "error" and "characters" not in message["detail"]:
            websockets = self.members
        super().send(websockets, message)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
