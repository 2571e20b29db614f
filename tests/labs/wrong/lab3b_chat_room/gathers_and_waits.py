"""All at once, and then it waits for the slowest."""

import asyncio
import json

from websockets.asyncio.server import broadcast

from tests.labs.lab3b_rooms import QueueRoom, read, serve_queues

CAUGHT_BY = "slow"
SAYS = "waits until the client has read"
ALSO_CAUGHT_BY = {
    "bounded": "while one does not read, the room stands still",
    "stopped": "there is a slow one, too, which holds up all",
}


class WrongRoom(QueueRoom):
    def send(self, websockets, message):
        broadcast(websockets, json.dumps(message))

    async def take(self, websocket, frame):
        try:
            text = read(frame)
        except ValueError as error:
            await websocket.send(json.dumps({"type": "error", "detail": str(error)}))
            return
        message = {"type": "message", "from": self.members[websocket], "text": text}
        self.history.append(message)
        sends = [each.send(json.dumps(message)) for each in self.members]
        await asyncio.gather(*sends, return_exceptions=True)


async def run_room(sock, patience=20.0):
    await serve_queues(WrongRoom(), sock, patience)
