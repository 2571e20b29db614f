"""The list goes to those who were there."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "broadcast"
SAYS = "was not told who is in the room"


class WrongRoom(Room):
    def send_members(self):
        names = list(self.members.values())
        there = list(self.members)[:-1]
        self.send(there, {"type": "members", "members": names})


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
