"""The queue is bounded, and what does not fit is lost without a word."""

from tests.labs.lab3b_rooms import QueueRoom, serve_queues

CAUGHT_BY = "bounded"
SAYS = "is in the room still"


class WrongRoom(QueueRoom):
    def put(self, websocket, text):
        queue = self.queues[websocket]
        if not queue.full():
            queue.put_nowait(text)


async def run_room(sock, patience=20.0):
    await serve_queues(WrongRoom(), sock, patience)
