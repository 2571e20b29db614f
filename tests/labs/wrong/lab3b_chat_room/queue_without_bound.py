"""A queue for each client, without maxsize."""

from tests.labs.lab3b_rooms import QueueRoom, serve_queues

CAUGHT_BY = "bounded"
SAYS = "Where do they wait?"


class WrongRoom(QueueRoom):
    waiting = 0


async def run_room(sock, patience=20.0):
    await serve_queues(WrongRoom(), sock, patience)
