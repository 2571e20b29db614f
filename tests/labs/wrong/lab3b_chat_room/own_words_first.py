"""Who speaks hears itself at once, the others from their queues."""

import json

from tests.labs.lab3b_rooms import QueueRoom, read, serve_queues

CAUGHT_BY = "order"
SAYS = "not all hear it in the same order"


class WrongRoom(QueueRoom):
    async def take(self, websocket, frame):
        try:
            text = read(frame)
        except ValueError:
            self.receive(websocket, frame)
            return
        message = {"type": "message", "from": self.members[websocket], "text": text}
        self.history.append(message)
        others = [each for each in self.members if each is not websocket]
        self.send(others, message)
        await websocket.send(json.dumps(message))


async def run_room(sock, patience=20.0):
    await serve_queues(WrongRoom(), sock, patience)
