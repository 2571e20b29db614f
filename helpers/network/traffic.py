"""What a capture cost: how many messages of each kind, and their bytes on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from helpers.network.capture import Capture, Direction
from helpers.network.decode import decode
from helpers.network.message import Message

__all__ = ["Traffic", "traffic"]

# A message may come in fragments; one frame starts each (RFC 6455, section 5.4).
WEBSOCKET = {"TEXT": "messages", "BINARY": "messages", "CONT": "messages"}


@dataclass
class Traffic:
    """All messages of one kind in one direction.

    ``wire_bytes`` are all bytes that crossed for them: chunks, frames, masks and
    heads included.
    """

    direction: Direction
    protocol: str
    what: str
    count: int = 0
    wire_bytes: int = 0


def traffic(capture: Capture) -> list[Traffic]:
    """The cost of a capture by direction, protocol and kind of message.

    ``what`` is "requests", "responses", "events", "comments", "lines", "messages",
    "control frames", or "others" for what has no name or is a part only. In each
    direction ``wire_bytes`` adds up to what the capture kept: compare with its
    exact ``bytes_to_client`` where it is not ``complete``.
    """
    return tally(decode(capture))


def tally(messages: Iterable[Message]) -> list[Traffic]:
    found: dict[tuple[Direction, str, str], Traffic] = {}
    for message in messages:
        if message.protocol == "TCP":
            continue  # signs, without bytes
        key = message.direction, message.protocol, _what(message)
        row = found.setdefault(key, Traffic(*key))
        row.count += message.kind != "CONT"
        row.wire_bytes += message.size
    return list(found.values())


def _what(message: Message) -> str:
    if message.protocol == "WebSocket":
        return WEBSOCKET.get(message.kind, "control frames")
    if message.protocol == "HTTP/1.1" and not message.kind:
        to_server = message.direction is Direction.TO_SERVER
        return "requests" if to_server else "responses"
    if message.kind in ("event", "comment", "line"):
        return f"{message.kind}s"
    return "others"
