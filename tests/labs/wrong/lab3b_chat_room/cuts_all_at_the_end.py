"""At the end it cuts all of them, also those who listen."""

import asyncio

from websockets.asyncio.server import serve

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import options

CAUGHT_BY = "stopped"
SAYS = "1001 says"


class WrongRoom(Room):
    def cut_all(self):
        for websocket in self.members:
            websocket.transport.abort()


async def run_room(sock, patience=20.0):
    room = WrongRoom()
    async with serve(room.handler, sock=sock, **options(patience)):
        try:
            await asyncio.Future()
        finally:
            room.cut_all()
