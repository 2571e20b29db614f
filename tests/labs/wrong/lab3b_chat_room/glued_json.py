"""It writes JSON by hand."""

from websockets.asyncio.server import broadcast

from labs.solutions.lab3b_chat_room import MAX_WAITING, Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "exact"
SAYS = "Let json.dumps() write"


class WrongRoom(Room):
    def send(self, websockets, message):
        if message["type"] != "message":
            super().send(websockets, message)
            return
        name, text = message["from"], message["text"]
        glued = f'{{"type": "message", "from": "{name}", "text": "{text}"}}'
        broadcast(websockets, glued)
        for each in list(websockets):
            if each.transport.get_write_buffer_size() > MAX_WAITING:
                each.transport.abort()


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
