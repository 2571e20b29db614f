"""Newcomers get the last 20, and the list has all."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "forgets"
SAYS = "grows for ever"


class WrongRoom(Room):
    def __init__(self):
        super().__init__()
        self.log = []

    def send(self, websockets, message):
        super().send(websockets, message)
        self.log.append(message)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
