"""A list keeps all, and newcomers get all."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "history"
SAYS = "it should be the last 20"
ALSO_CAUGHT_BY = {"forgets": "it keeps all of it"}


class WrongRoom(Room):
    def __init__(self):
        super().__init__()
        self.history = []


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
