"""What wrong rooms of lab 3b share: how a room is served, and another right one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from labs.solutions.lab3b_chat_room import MAX_MESSAGE, MAX_WAITING, Room, read


def options(patience: float) -> dict[str, Any]:
    """What the solution tells serve()."""
    return {
        "compression": None,
        "max_size": MAX_MESSAGE,
        "ping_interval": patience,
        "ping_timeout": patience,
        "close_timeout": patience,
        "write_limit": 2 * MAX_WAITING,
    }


async def serve_room(room: Any, sock: Any, patience: float, **changed: Any) -> None:
    """Serve as the solution does, but for what is changed."""
    more = options(patience) | changed
    async with serve(room.handler, sock=sock, **more) as server:
        await server.serve_forever()


class QueueRoom(Room):
    """A queue for each client, and a task that empties it: as good as the solution."""

    waiting = 200  # messages

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[ServerConnection, asyncio.Queue] = {}

    async def handler(self, websocket: ServerConnection) -> None:
        self.queues[websocket] = asyncio.Queue(self.waiting)
        writer = asyncio.create_task(self.write(websocket, self.queues[websocket]))
        await self.greet(websocket)
        self.members[websocket] = unquote(websocket.request.path[1:])
        self.send_members()
        try:
            async for frame in websocket:
                await self.take(websocket, frame)
        except ConnectionClosed:
            pass
        finally:
            await self.end(websocket, writer)

    async def greet(self, websocket: ServerConnection) -> None:
        for message in self.history:
            self.send([websocket], message)

    async def take(self, websocket: ServerConnection, frame: str | bytes) -> None:
        self.receive(websocket, frame)

    async def end(self, websocket: ServerConnection, writer: asyncio.Task) -> None:
        del self.members[websocket]
        self.send_members()
        writer.cancel()
        del self.queues[websocket]

    def send(
        self, websockets: Iterable[ServerConnection], message: dict[str, Any]
    ) -> None:
        for websocket in list(websockets):
            self.put(websocket, json.dumps(message))

    def put(self, websocket: ServerConnection, text: str) -> None:
        try:
            self.queues[websocket].put_nowait(text)
        except asyncio.QueueFull:
            websocket.transport.abort()

    async def write(self, websocket: ServerConnection, queue: asyncio.Queue) -> None:
        try:
            while True:
                await websocket.send(await queue.get())
        except ConnectionClosed:
            pass


async def serve_queues(room: QueueRoom, sock: Any, patience: float) -> None:
    """With the library's write_limit, so that who lags has to be cut in the end."""
    more = options(patience)
    del more["write_limit"]
    server = await serve(room.handler, sock=sock, **more)
    try:
        await asyncio.Future()
    finally:
        server.close()
        try:
            async with asyncio.timeout(patience):
                await server.wait_closed()
        except TimeoutError:
            for websocket in list(room.members):
                websocket.transport.abort()
            await server.wait_closed()


__all__ = ["QueueRoom", "options", "read", "serve_queues", "serve_room"]
