"""It waits for each client before it sends to the next."""

import json

from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed

from tests.labs.lab3b_rooms import QueueRoom, read, serve_queues

CAUGHT_BY = "slow"
SAYS = "waits until the client has read"
ALSO_CAUGHT_BY = {
    "bounded": "while one does not read, the room stands still",
    "stopped": "there is a slow one, too, which holds up all",
}


class WrongRoom(QueueRoom):
    def put(self, websocket, text):
        pass

    def send_members(self):
        names = list(self.members.values())
        broadcast(self.members, json.dumps({"type": "members", "members": names}))

    async def take(self, websocket, frame):
        try:
            text = read(frame)
        except ValueError as error:
            await websocket.send(json.dumps({"type": "error", "detail": str(error)}))
            return
        message = {"type": "message", "from": self.members[websocket], "text": text}
        self.history.append(message)
        for each in list(self.members):
            try:
                await each.send(json.dumps(message))
            except ConnectionClosed:
                pass

    def send(self, websockets, message):
        broadcast(websockets, json.dumps(message))


async def run_room(sock, patience=20.0):
    await serve_queues(WrongRoom(), sock, patience)
