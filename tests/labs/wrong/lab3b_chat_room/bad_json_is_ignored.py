"""What is no message is passed over in silence."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "checked"
SAYS = "does not know that nobody heard it"
# A refusal of what is too long is sent.


class WrongRoom(Room):
    def send(self, websockets, message):
        if message["type"] != "error" or "characters" in message["detail"]:
            super().send(websockets, message)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
