"""Who says nothing for a while is thrown out."""

import asyncio

from websockets.exceptions import ConnectionClosed

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "vanished"
SAYS = "Silence is no crime"


class WrongRoom(Room):
    def __init__(self, patience):
        super().__init__()
        self.patience = patience

    async def handler(self, websocket):
        self.members[websocket] = websocket.request.path[1:]
        for message in self.history:
            self.send([websocket], message)
        self.send_members()
        try:
            while True:
                async with asyncio.timeout(2 * self.patience):
                    frame = await websocket.recv()
                self.receive(websocket, frame)
        except (ConnectionClosed, TimeoutError):
            pass
        finally:
            del self.members[websocket]
            self.send_members()


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(patience), sock, patience)
