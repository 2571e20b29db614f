"""It escapes for a page that will do so again."""

import html

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "exact"
SAYS = "escaped once"


class WrongRoom(Room):
    def send(self, websockets, message):
        if message["type"] == "message":
            message = message | {"text": html.escape(message["text"])}
        super().send(websockets, message)


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
