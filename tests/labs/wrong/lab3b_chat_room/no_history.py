"""Newcomers hear only what is said from now on."""

from collections import deque

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "history"
SAYS = "it should be the last 20"


class WrongRoom(Room):
    def __init__(self):
        super().__init__()
        self.history = deque(maxlen=0)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
