"""Between the history and the place in the room it waits for the client."""

import json

from tests.labs.lab3b_rooms import QueueRoom, serve_queues

CAUGHT_BY = "history"
SAYS = "never heard message"


class WrongRoom(QueueRoom):
    async def greet(self, websocket):
        for message in list(self.history):
            await websocket.send(json.dumps(message))


async def run_room(sock, patience=20.0):
    await serve_queues(WrongRoom(), sock, patience)
