"""A message, as the protocol that it belongs to sees it."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.network.capture import Direction

__all__ = ["Message"]


@dataclass(frozen=True)
class Message:
    """One message as its protocol sees it.

    ``sent`` is when its first byte entered the link, ``arrived`` when its last
    byte left it, in seconds since the link started; None when part of it never
    did. ``raw`` are its exact bytes, ``size`` how many there were on the wire.
    ``body`` is its content as an application reads it: without chunks, unmasked,
    inflated. ``kind`` says what it is among those of its protocol: the opcode of a
    frame; "event", "comment", "retry"; "line".
    """

    sent: float
    arrived: float | None
    connection: int
    direction: Direction
    protocol: str
    title: str
    raw: bytes = b""
    size: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    note: str = ""
    curl: str | None = None
    complete: bool = True
    kind: str = ""
