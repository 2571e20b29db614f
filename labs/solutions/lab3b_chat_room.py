"""One way to solve lab 3b: everything that is sent goes through one bounded door."""

import json
from collections import deque
from urllib.parse import unquote

from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

KEPT = 20  # messages, for those who come later
LONGEST = 2_000  # characters of a text
MAX_MESSAGE = 32 * 1024  # bytes; the longest text in JSON's \u escapes needs 24,000
MAX_WAITING = 512 * 1024  # bytes that may wait for one client


class Room:
    """Who is in, and what was said last.

    Nothing in it awaits but the next frame: so all that is said goes out to all before
    anything else happens, and everybody hears it in the same order.
    """

    def __init__(self):
        self.members = {}  # websocket: name
        self.history = deque(maxlen=KEPT)

    async def handler(self, websocket):
        """One client, from when it comes until it is gone."""
        for message in self.history:
            self.send([websocket], message)
        self.members[websocket] = unquote(websocket.request.path[1:])[:20]
        self.send_members()
        try:
            async for frame in websocket:
                self.receive(websocket, frame)
        except ConnectionClosed:
            pass  # it went without a goodbye
        finally:
            del self.members[websocket]
            self.send_members()

    def receive(self, websocket, frame):
        """Pass on what one client said, or tell it what was wrong."""
        try:
            text = read(frame)
        except ValueError as error:
            self.send([websocket], {"type": "error", "detail": str(error)})
            return
        name = self.members[websocket]
        message = {"type": "message", "from": name, "text": text}
        self.history.append(message)
        self.send(self.members, message)

    def send_members(self):
        names = list(self.members.values())
        self.send(self.members, {"type": "members", "members": names})

    def send(self, websockets, message):
        """Send without waiting, and disconnect those for whom too much waits."""
        there = [each for each in websockets if not each.transport.is_closing()]
        broadcast(there, json.dumps(message))
        for each in there:
            if each.transport.get_write_buffer_size() > MAX_WAITING:
                # close() would wait until it has read all that waits.
                each.transport.abort()


def read(frame):
    """The text in a frame. Raises ValueError, which says what is wrong with it."""
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        raise ValueError("this is not JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("text"), str):
        raise ValueError('send an object with a text: {"text": "hello"}')
    if not 1 <= len(message["text"]) <= LONGEST:
        raise ValueError(f"a text has 1 to {LONGEST} characters")
    return message["text"]


async def run_room(sock, patience=20.0):
    """Serve one room on a socket that listens, until cancelled."""
    async with serve(
        Room().handler,
        sock=sock,
        compression=None,
        max_size=MAX_MESSAGE,
        ping_interval=patience,  # a ping so often,
        ping_timeout=patience,  # and so long for its pong
        close_timeout=patience,
        # Above what may wait for one client, or ping and close would queue for ever
        # behind what it does not read.
        write_limit=2 * MAX_WAITING,
    ) as server:
        await server.serve_forever()
