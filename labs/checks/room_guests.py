"""Guests of the chat room in lab 3b: clients that do only what they are told.

They run in the child, in the event loop of the learner's room.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

__all__ = ["Guest"]


class Guest(asyncio.Protocol):
    """A client of the room that keeps what it hears, and does only what it is told.

    It answers pings while it reads; :meth:`stop_reading` makes it slow, or dead.
    Times are those of ``time.monotonic``.
    """

    def __init__(self, name: str, *, reads: bool = True) -> None:
        self.name = name
        self._reads = reads  # else nothing more than the handshake, until told
        self.heard: list[dict[str, Any]] = []  # messages to all
        self.members: list[str] | None = None  # the list, as it was told last
        self.errors: list[dict[str, Any]] = []
        self.strange: list[str] = []  # what is none of the three
        self.came = time.monotonic()
        self.went: float | None = None
        self.left = False  # by its own will
        self.is_in = False
        self._websocket = ClientProtocol(
            parse_uri(f"ws://127.0.0.1/{name}"), max_size=None
        )

    # -- what it does ------------------------------------------------------------------

    def say(self, *texts: str) -> None:
        """Each as a message of its own, all in one go."""
        self.send(*(json.dumps({"text": text}) for text in texts))

    def send(self, *frames: str | bytes) -> None:
        """Frames as they are: text, or binary for bytes. Lost when it is closed."""
        if self._websocket.state is not State.OPEN:
            return
        for frame in frames:
            if isinstance(frame, bytes):
                self._websocket.send_binary(frame)
            else:
                self._websocket.send_text(frame.encode())
        self._flush()

    def stop_reading(self) -> None:
        """From now on nothing that it is sent gets further than its kernel."""
        self._transport.pause_reading()

    def read_on(self) -> None:
        self._transport.resume_reading()

    def say_goodbye(self) -> None:
        """Close as one should, with a close frame."""
        self.left = True
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(1000)
            self._flush()

    def hang_up(self) -> None:
        """End the connection, without a close frame."""
        self.left = True
        self._transport.close()

    def cut(self) -> None:
        """Break the connection: all that the room gets is a reset."""
        self.left = True
        linger = struct.pack("ii", 1, 0)  # on, for 0 seconds: then close() is a reset
        with contextlib.suppress(OSError):
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
        self._transport.abort()

    # -- what it knows -----------------------------------------------------------------

    @property
    def address(self) -> tuple[str, int]:
        """Its own, by which the room knows it."""
        return self._transport.get_extra_info("sockname")

    @property
    def close_code(self) -> int | None:
        """What the room said when it closed the connection; None for nothing."""
        close = self._websocket.close_rcvd
        return close.code if close is not None else None

    @property
    def thrown_out(self) -> bool:
        """Whether the connection is gone, and not by its own will."""
        return not self.left and (self.went is not None or self.close_code is not None)

    @property
    def end(self) -> str:
        """How it ended, in a word or two."""
        if self.left:
            return "left"
        if self.close_code is not None:
            return f"closed with {self.close_code}"
        return "stayed" if self.went is None else "disconnected"

    def lines(self) -> list[tuple[Any, Any]]:
        """Who said what, as far as it heard."""
        return [(message.get("from"), message.get("text")) for message in self.heard]

    # -- asyncio.Protocol --------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._websocket.send_request(self._websocket.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            opcode = getattr(event, "opcode", None)
            if opcode is None:  # the answer to the handshake
                self.is_in = True
                if not self._reads:
                    self.stop_reading()
            elif opcode is Opcode.TEXT:
                self._hear(event.data)
            elif opcode is Opcode.BINARY:
                self.strange.append(f"{event.data!r:.60}")
        self._flush()

    def eof_received(self) -> None:
        self._websocket.receive_eof()

    def connection_lost(self, _: Exception | None) -> None:
        self.went = time.monotonic()
        self._websocket.receive_eof()

    def _hear(self, data: bytes) -> None:
        try:
            said = json.loads(data)
            kind = said["type"]
        except (ValueError, TypeError, KeyError):
            said, kind = {}, None
        if kind == "message":
            self.heard.append(said)
        elif kind == "members" and isinstance(said.get("members"), list):
            self.members = said["members"]
        elif kind == "error":
            self.errors.append(said)
        else:
            self.strange.append(data.decode(errors="replace")[:60])

    def _flush(self) -> None:
        for data in self._websocket.data_to_send():
            if data and not self._transport.is_closing():
                self._transport.write(data)
