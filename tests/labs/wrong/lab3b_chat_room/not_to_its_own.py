"""It thinks that who speaks knows what it said."""

from labs.solutions.lab3b_chat_room import Room, read
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "broadcast"
SAYS = "Whoever says it hears it, too"


class WrongRoom(Room):
    def receive(self, websocket, frame):
        text = read(frame)
        name = self.members[websocket]
        others = [each for each in self.members if each is not websocket]
        self.send(others, {"type": "message", "from": name, "text": text})


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
