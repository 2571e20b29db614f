"""Who comes with the same name takes the place of the other."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "leaving"
SAYS = "same name"


class WrongRoom(Room):
    def __init__(self):
        super().__init__()
        self.by_name = {}

    async def handler(self, websocket):
        self.by_name[websocket.request.path[1:]] = websocket
        await super().handler(websocket)

    def send_members(self):
        there = set(self.members.values())
        names = [name for name in self.by_name if name in there]
        self.send(self.members, {"type": "members", "members": names})


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
