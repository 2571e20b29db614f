"""It tidies up after the loop, which an exception jumps over."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "leaving"
SAYS = "tidy up in `finally`"
ALSO_CAUGHT_BY = {
    "vanished": "it is noticed, and stays on the list",
    "bounded": "it is disconnected, and stays on the list",
}


class WrongRoom(Room):
    async def handler(self, websocket):
        for message in self.history:
            self.send([websocket], message)
        self.members[websocket] = websocket.request.path[1:]
        self.send_members()
        async for frame in websocket:
            self.receive(websocket, frame)
        del self.members[websocket]
        self.send_members()


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
