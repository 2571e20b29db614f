"""The task that empties the queue outlives its client."""

from tests.labs.lab3b_rooms import QueueRoom, serve_queues

CAUGHT_BY = "tidy"
SAYS = "waits for ever"


class WrongRoom(QueueRoom):
    def __init__(self):
        super().__init__()
        self.writers = []

    async def end(self, websocket, writer):
        del self.members[websocket]
        self.send_members()
        self.writers.append(writer)


async def run_room(sock, patience=20.0):
    room = WrongRoom()
    try:
        await serve_queues(room, sock, patience)
    finally:
        for writer in room.writers:
            writer.cancel()
