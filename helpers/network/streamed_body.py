"""A body that comes part by part and is read so: each part is a message.

The parts are found in the body, which is whole only once the chunks around it are
taken away (RFC 9112, section 7.1); a message has the bytes that crossed the wire.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from helpers.network.event_stream import events
from helpers.network.json_lines import json_lines
from helpers.network.message import Message
from helpers.network.part import Part
from helpers.network.stream import Stream

__all__ = ["Piece", "Splitter", "in_parts", "splitter_for"]

# A body, and whether it has come to its end, become parts.
Splitter = Callable[[bytes, bool], Iterator[Part]]

SPLITTERS: dict[str, tuple[str, Splitter]] = {
    "text/event-stream": ("SSE", events),
    # No RFC names this one, and all of these are in use.
    "application/x-ndjson": ("JSON lines", json_lines),
    "application/ndjson": ("JSON lines", json_lines),
    "application/jsonl": ("JSON lines", json_lines),
    "application/x-jsonlines": ("JSON lines", json_lines),
}


def splitter_for(content_type: str) -> tuple[str, Splitter] | None:
    """The name of the format and what splits it, if its parts come one by one."""
    return SPLITTERS.get(content_type.partition(";")[0].strip().lower())


class Piece(NamedTuple):
    """Where a piece of a body lies in its stream."""

    start: int
    data: bytes
    ends_chunk: bool


def in_parts(
    stream: Stream,
    pieces: list[Piece],
    parts: Iterator[Part],
    *,
    start: int,
    end: int | None,
    protocol: str,
    trouble: str,
) -> Iterator[Message]:
    """Each of ``parts``, with the bytes that carried it, from ``start`` on.

    ``end`` is where the body ends; None when it does not, and then ``trouble``
    says why, if it was not that more is to come.
    """
    places = _Places(stream, pieces)
    for part in parts:
        if end is None and not part.complete:
            break  # told below, with all that came of it
        last, behind = places.of(part.end)
        message = part.message(stream, start, behind, protocol)
        # Its reader has it with its own last byte; the chunk may end later.
        yield replace(message, arrived=stream.times(start, last)[1])
        start = behind
    if end is None and trouble:
        yield from stream.leftover(start, trouble)
    elif end is None and start < len(stream.data):
        yield _unfinished(stream, start, protocol)
    elif end is not None and start < end:
        yield stream.message(start, end, "HTTP/1.1", "last chunk", kind="last chunk")


def _unfinished(stream: Stream, start: int, protocol: str) -> Message:
    end = len(stream.data)
    message = stream.message(start, end, protocol, "unfinished", kind="unfinished")
    note = f"{stream.why_unfinished} after {message.size} bytes of it"
    return stream.unfinished(message, note)


class _Places:
    """Where in its stream each byte of a body lies."""

    def __init__(self, stream: Stream, pieces: list[Piece]) -> None:
        self._data = stream.data
        self._pieces = pieces
        self._ends = list(accumulate(len(piece.data) for piece in pieces))

    def of(self, offset: int) -> tuple[int, int]:
        """Behind the body's first ``offset`` bytes; and behind their chunk's CR LF."""
        index = bisect_left(self._ends, offset)
        start, data, ends_chunk = self._pieces[index]
        last = start + len(data) - (self._ends[index] - offset)
        if not ends_chunk or offset != self._ends[index]:
            return last, last
        line_end = self._data[last : last + 2]
        return last, last + len(line_end) if b"\r\n".startswith(line_end) else last
