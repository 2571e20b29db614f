"""Which messages of a ladder stand for themselves, and which are folded into one.

A stream repeats itself: of a hundred frames the first ones, the last ones and the
first of each kind tell all. So a long run of such messages is drawn as these, and
one row for each way of each connection with the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from helpers.measure.units import seconds
from helpers.network.message import Message

__all__ = ["Run", "fold"]

LONGEST_RUN = 12  # messages in a row that are all shown
FIRST, LAST = 4, 2  # of a longer one
STREAMS = ("WebSocket", "SSE", "JSON lines")


@dataclass(frozen=True)
class Run(Message):
    """Messages of one kind, one way, that are drawn as one.

    ``sent`` is when the first of them was, ``arrived`` when the last one had.
    """

    messages: tuple[Message, ...] = ()

    @classmethod
    def of(cls, messages: list[Message]) -> Run:
        first = messages[0]
        arrived = max(message.arrived for message in messages)
        kinds = Counter(message.kind for message in messages)
        return cls(
            first.sent,
            arrived,
            first.connection,
            first.direction,
            first.protocol,
            ", ".join(f"{count:,} × {kind}" for kind, count in kinds.items()),
            size=sum(message.size for message in messages),
            note=f"within {seconds(arrived - first.sent)}",
            messages=tuple(messages),
        )


def fold(messages: list[Message]) -> list[Message]:
    """``messages``, in which long runs are folded, by the time they were sent."""
    rows: list[Message] = []
    for foldable, group in groupby(messages, key=_is_foldable):
        run = list(group)
        rows += _folded(run) if foldable and len(run) > LONGEST_RUN else run
    return sorted(rows, key=lambda row: row.sent)


def _is_foldable(message: Message) -> bool:
    """Whether it may be folded with its like; what is remarkable may not."""
    told = message.note or not message.complete or message.arrived is None
    return message.protocol in STREAMS and message.kind != "CLOSE" and not told


def _folded(run: list[Message]) -> Iterator[Message]:
    """What is shown, and between it what is hidden, in order."""
    seen: set[tuple] = set()
    hidden: list[Message] = []
    last = len(run) - LAST
    for number, message in enumerate(run):
        kind = message.direction, message.kind
        if FIRST <= number < last and kind in seen:
            hidden.append(message)
            continue
        yield from _runs(hidden)
        hidden = []
        yield message
        seen.add(kind)


def _runs(hidden: list[Message]) -> Iterator[Message]:
    """One for each way of each connection; one message alone stays what it is."""
    ways: dict[tuple, list[Message]] = {}
    for message in hidden:
        way = message.connection, message.direction
        ways.setdefault(way, []).append(message)
    for way in ways.values():
        yield Run.of(way) if len(way) > 1 else way[0]
