"""One direction of a TCP connection as a row of bytes, and when each crossed."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import replace

from helpers.network.capture import Crossing, Direction, Event
from helpers.network.message import Message

__all__ = ["Stream", "is_known"]


class Stream:
    """One direction's bytes in a row, and when each of them crossed.

    ``data`` goes as far as the capture knows every byte; behind it come chunks
    that the capture had no room for, and last what was lost on the way.
    """

    def __init__(self, crossings: list[Crossing], direction: Direction) -> None:
        self.direction = direction
        self.connection = crossings[0].connection
        mine = [
            crossing
            for crossing in crossings
            if crossing.direction is direction and crossing.event is Event.DATA
        ]
        self._known = list(itertools.takewhile(is_known, mine))
        behind = mine[len(self._known) :]
        self._lost = [crossing for crossing in behind if crossing.lost]
        self._skipped = [crossing for crossing in behind if not crossing.lost]
        self.data = b"".join(crossing.data for crossing in self._known)
        self._ends = list(itertools.accumulate(c.size for c in self._known))
        self.lost = sum(crossing.size for crossing in self._lost)
        self.skipped = sum(crossing.size for crossing in self._skipped)
        # Only an end in good order tells that nothing is missing.
        self.ended = not behind and any(
            crossing.event is Event.END and crossing.direction is direction
            for crossing in crossings
        )
        self.broken = any(c.event in (Event.RESET, Event.CUT) for c in crossings)

    def times(self, start: int, end: int) -> tuple[float, float]:
        """When byte ``start`` was sent, and when the byte before ``end`` arrived."""
        first = self._known[self._index(start)]
        last = self._known[self._index(max(start, end - 1))]
        return first.sent, last.arrived

    def _index(self, offset: int) -> int:
        return min(bisect.bisect_right(self._ends, offset), len(self._ends) - 1)

    def message(
        self, start: int, end: int, protocol: str, title: str, **more: object
    ) -> Message:
        sent, arrived = self.times(start, end)
        raw = self.data[start:end]
        return Message(
            sent,
            arrived,
            self.connection,
            self.direction,
            protocol,
            title,
            raw,
            **{"size": len(raw)} | more,
        )

    @property
    def why_unfinished(self) -> str:
        """How a note begins on a message of which these bytes hold only a part."""
        if self.skipped:
            return "the capture ends"
        if self.lost or self.ended or self.broken:
            return "cut off"
        return "still under way:"

    def unfinished(self, message: Message, note: str) -> Message:
        """The last message here, of which the rest is missing.

        What was lost right behind the known bytes belongs to it.
        """
        message = replace(message, note=note, complete=False)
        if not self.lost or self.skipped:
            return message
        return replace(message, arrived=None, size=message.size + self.lost)

    def with_the_rest(
        self, messages: list[Message], position: int, note: str = ""
    ) -> Iterator[Message]:
        """``messages``, then what lies behind ``position`` and did not parse."""
        yield from messages
        yield from self.leftover(position, note)
        if all(message.arrived is not None for message in messages):
            yield from self.unseen()

    def leftover(self, start: int, note: str) -> Iterator[Message]:
        """What does not parse, as bytes: one message for each crossing."""
        for end in self._ends:
            if end > start:
                title = f"{end - start} bytes"
                yield self.message(start, end, "bytes", title, note=note)
                start = end

    def unseen(self) -> Iterator[Message]:
        """What lies behind the known bytes: first what had no room, then the lost."""
        for part, note in (
            (self._skipped, "crossed, but the capture had no room for it"),
            (self._lost, "lost on the way"),
        ):
            if part:
                size = sum(crossing.size for crossing in part)
                yield Message(
                    part[0].sent,
                    part[-1].arrived,
                    self.connection,
                    self.direction,
                    "bytes",
                    f"{size} bytes",
                    size=size,
                    note=note,
                    complete=False,
                )


def is_known(crossing: Crossing) -> bool:
    return not crossing.lost and len(crossing.data) == crossing.size
