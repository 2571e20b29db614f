"""The writers of all clients are in one TaskGroup."""

import asyncio

from websockets.exceptions import ConnectionClosed

from tests.labs.lab3b_rooms import QueueRoom, serve_queues

CAUGHT_BY = "isolated"
SAYS = "the whole room ended"


class WrongRoom(QueueRoom):
    def __init__(self, group):
        super().__init__()
        self.group = group

    async def handler(self, websocket):
        queue = asyncio.Queue(self.waiting)
        self.queues[websocket] = queue
        writer = self.group.create_task(self.write(websocket, queue))
        for message in self.history:
            self.send([websocket], message)
        self.members[websocket] = websocket.request.path[1:]
        self.send_members()
        try:
            async for frame in websocket:
                self.receive(websocket, frame)
        except ConnectionClosed:
            pass
        finally:
            await self.end(websocket, writer)

    async def write(self, websocket, queue):
        while True:
            await websocket.send(await queue.get())


async def run_room(sock, patience=20.0):
    async with asyncio.TaskGroup() as group:
        await serve_queues(WrongRoom(group), sock, patience)
