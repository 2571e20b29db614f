"""Who is there is told when somebody comes, and not when somebody goes."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "leaving"
SAYS = "the last list that Ada got"
ALSO_CAUGHT_BY = {
    "vanished": "nobody is told that somebody is gone",
    "bounded": "nobody is told that somebody is gone",
}


class WrongRoom(Room):
    def __init__(self):
        super().__init__()
        self.most = 0

    def send_members(self):
        if len(self.members) > self.most:
            super().send_members()
        self.most = len(self.members)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
