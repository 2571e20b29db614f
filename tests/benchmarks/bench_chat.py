"""ChatServer against bare websockets: a room of N hears what one of them says.

Both servers run in a process of their own. The bare one only passes on: it reads a
text and hands it to `broadcast()`. The chat server also parses, checks, numbers and
remembers it. The figure is deliveries a second (messages times subscribers), as the
median over interleaved rounds; the subscribers count bytes and parse nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import time

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from helpers.server import BACKLOG, Server
from helpers.servers.chat import ChatServer

ROUNDS = 5
MESSAGES = {1: 3000, 100: 300, 1000: 40}
UNDER_WAY = 8  # messages said and not heard yet, so that both ends stay busy
TEXT = "x" * 64


class Bare(Server):
    """What is left of a chat when nobody checks anything."""

    async def open(self, host: str, port: int) -> int:
        self._clients: set[ServerConnection] = set()
        self._server = await serve(
            self._talk, host, port, compression=None, backlog=BACKLOG
        )
        return self._server.sockets[0].getsockname()[1]

    async def _talk(self, connection: ServerConnection) -> None:
        self._clients.add(connection)
        with contextlib.suppress(ConnectionClosed):
            async for text in connection:
                broadcast(self._clients, self.pass_on(text))
        self._clients.discard(connection)

    def pass_on(self, text: str) -> str:
        return text

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()


class BareJSON(Bare):
    """The least that a chat with numbers can do: parse, number, write."""

    number = 0

    def pass_on(self, text: str) -> str:
        self.number += 1
        return json.dumps(json.loads(text) | {"number": self.number})


class Listener(asyncio.Protocol):
    """A subscriber that costs as little as can be: it counts bytes."""

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.ready = asyncio.get_running_loop().create_future()
        self.received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.write(
            b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            self.transport.write(self.first)
            self.ready.set_result(None)
        self.received += len(data)


def frame(text: str) -> bytes:
    """A masked text frame of less than 126 bytes, with a mask of zeros."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode()


async def measure(port: int, subscribers: int, *, join: bool) -> float:
    """Deliveries a second to ``subscribers``, one of whom speaks."""
    loop = asyncio.get_running_loop()
    listeners = []
    for number in range(subscribers - 1):
        asks = {"type": "join", "room": "lobby", "name": f"n{number}"}
        first = frame(json.dumps(asks)) if join else b""
        _, listener = await loop.create_connection(
            lambda first=first: Listener(first), "127.0.0.1", port
        )
        await listener.ready
        listeners.append(listener)
    async with connect(
        f"ws://127.0.0.1:{port}/chat", compression=None, max_queue=None
    ) as speaker:
        if join:
            await speaker.send('{"type": "join", "room": "lobby", "name": "speaker"}')
        # What was under way before is none of what is counted.
        await say(speaker, 20)
        await asyncio.sleep(0.2)
        begun, count = time.perf_counter(), MESSAGES[subscribers]
        await say(speaker, count)
        seconds = time.perf_counter() - begun
    for listener in listeners:
        listener.transport.abort()
    return count * subscribers / seconds


async def say(speaker: ClientConnection, count: int) -> None:
    said = json.dumps({"type": "message", "text": TEXT})
    sent = heard = 0
    while heard < count:
        while sent < count and sent - heard < UNDER_WAY:
            await speaker.send(said)
            sent += 1
        if TEXT in await speaker.recv():
            heard += 1


KINDS = (Bare, BareJSON, ChatServer)


def main() -> None:
    print(f"deliveries/s, medians of {ROUNDS} interleaved rounds")
    print(
        "subscribers" + "".join(f"{kind.__name__:>12}" for kind in KINDS) + "   ratios"
    )
    for subscribers in MESSAGES:
        rates = [[measured(kind, subscribers) for kind in KINDS] for _ in range(ROUNDS)]
        columns = list(zip(*rates, strict=True))
        row = "".join(f"{statistics.median(column):>12,.0f}" for column in columns)
        ratios = (
            statistics.median(each[-1] / each[other] for each in rates)
            for other in (0, 1)
        )
        print(f"{subscribers:>11}{row}  ", *(f"{ratio:.2f}" for ratio in ratios))


def measured(kind: type[Server], subscribers: int) -> float:
    with kind.in_process() as server:
        join = kind is ChatServer
        return asyncio.run(measure(server.port, subscribers, join=join))


if __name__ == "__main__":
    main()
