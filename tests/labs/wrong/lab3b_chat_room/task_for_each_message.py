"""Each message is a task, which first asks a moderator; long ones take longer."""

import asyncio

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "order"
SAYS = "another order than it was said"


class WrongRoom(Room):
    def __init__(self):
        super().__init__()
        self.tasks = set()

    def receive(self, websocket, frame):
        task = asyncio.create_task(self.moderate(websocket, frame))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def moderate(self, websocket, frame):
        await asyncio.sleep(0.01 if 500 < len(frame) < 1500 else 0)
        if websocket in self.members:
            super().receive(websocket, frame)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
