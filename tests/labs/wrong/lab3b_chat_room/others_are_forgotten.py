"""A client that is gone ends the loop over those behind it."""

from websockets.protocol import State

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "isolated"
SAYS = "ended the loop over the others"


class WrongRoom(Room):
    def send(self, websockets, message):
        if message["type"] != "message":
            super().send(websockets, message)
            return
        for each in sorted(websockets, key=lambda each: each.state is State.OPEN):
            if each.state is not State.OPEN:
                return
            super().send([each], message)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
