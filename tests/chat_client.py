"""Clients of the chat: one that behaves, and one that only does what it is told."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

from websockets.client import ClientProtocol
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from helpers.servers.chat import ChatServer
from tests.peers import PATIENCE


def make_uri(server: ChatServer) -> str:
    return f"ws://{server.host}:{server.port}/chat"


class Client:
    """Speaks JSON, answers pings by itself, and fails a test that waits in vain."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket

    def send(self, type: str, **fields: Any) -> None:
        self.websocket.send(json.dumps({"type": type} | fields))

    def receive(self) -> dict[str, Any]:
        return json.loads(self.websocket.recv(timeout=PATIENCE))

    def receive_until(self, type: str) -> dict[str, Any]:
        while (message := self.receive())["type"] != type:
            pass
        return message

    def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request, when nothing else is on its way."""
        self.send(type, **fields)
        return self.receive()


@contextlib.contextmanager
def chat(
    server: ChatServer, name: str | None = None, room: str = "lobby", **options: Any
) -> Iterator[Client]:
    """A client; with a ``name`` it has joined ``room`` and read its welcome."""
    # Without a bound on what it has not read yet, so that close() does not wait.
    with connect(make_uri(server), max_queue=None, **options) as websocket:
        client = Client(websocket)
        if name is not None:
            assert client.ask("join", room=room, name=name)["type"] == "welcome"
        yield client


class RawClient:
    """A WebSocket on a bare socket with a small buffer: it plays the slow and the dead.

    It reads when it is told to, and answers nothing by itself.
    """

    def __init__(self, server: ChatServer) -> None:
        self.socket = socket.socket()
        # Before connect(), or the window that the kernel offered stays large.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((server.host, server.port))
        self.protocol = ClientProtocol(parse_uri(make_uri(server)), max_size=None)
        self.protocol.send_request(self.protocol.connect())
        self.flush()
        while not self.protocol.events_received():
            self.protocol.receive_data(self.socket.recv(1))

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            self.socket.sendall(data)

    def send(self, type: str, **fields: Any) -> None:
        self.protocol.send_text(json.dumps({"type": type} | fields).encode())
        self.flush()

    def join(self, name: str) -> None:
        """Join, and read just the welcome."""
        self.send("join", room="lobby", name=name)
        assert next(self.messages())["type"] == "welcome"

    def messages(self) -> Iterator[dict[str, Any]]:
        """What comes, until the server ends the connection."""
        while True:
            for frame in self.protocol.events_received():
                if frame.opcode == 1:
                    yield json.loads(frame.data)
            try:
                data = self.socket.recv(4096)
            except ConnectionError:
                return
            if not data:
                return
            self.protocol.receive_data(data)

    def wait_until_cut(self) -> int | None:
        """Read to the end; the close code, if there was one."""
        for _ in self.messages():
            pass
        return self.protocol.close_rcvd and self.protocol.close_rcvd.code
