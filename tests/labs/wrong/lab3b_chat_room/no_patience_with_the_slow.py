"""It disconnects whoever does not read at once."""

from labs.solutions.lab3b_chat_room import Room
from tests.labs.lab3b_rooms import serve_room

CAUGHT_BY = "bounded"
SAYS = "so much must be able to wait"


class WrongRoom(Room):
    def send(self, websockets, message):
        super().send(websockets, message)
        for each in list(websockets):
            if each.transport.get_write_buffer_size() > 75_000:
                each.transport.abort()


async def run_room(sock, patience=20.0):
    await serve_room(WrongRoom(), sock, patience)
