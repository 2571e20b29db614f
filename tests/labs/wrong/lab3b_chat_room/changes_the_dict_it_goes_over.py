"""It takes the slow one out of the dict over which it goes."""

import json

from websockets.asyncio.server import broadcast

from labs.solutions.lab3b_chat_room import MAX_WAITING, Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "slow"
SAYS = "go over list(...)"


class WrongRoom(Room):
    async def handler(self, websocket):
        try:
            await super().handler(websocket)
        except KeyError:
            self.send_members()

    def send(self, websockets, message):
        broadcast(websockets, json.dumps(message))
        for each in self.members:
            if each.transport.get_write_buffer_size() > MAX_WAITING:
                each.transport.abort()
                del self.members[each]


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
