"""A client that is gone ends the handler of who speaks."""

from websockets.protocol import State

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "isolated"
SAYS = "That is not Ada"


class WrongRoom(Room):
    def send(self, websockets, message):
        for each in websockets:
            if each.state is not State.OPEN and message["type"] == "message":
                raise ConnectionResetError("send to a client that is gone")
        super().send(websockets, message)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
