"""Event streams to try a parser of lab 3a on: of the lab's own, and of chance."""

from __future__ import annotations

import random

from helpers.lesson.check_process import End, Outcome
from labs.checks.lab3a_parser import PARSER, Event, feed_all
from labs.solutions.lab3a_sse_client import EventStream

__all__ = ["ENDS", "PIECES", "feed", "streams_of_chance", "streams_of_the_lab"]

PIECES = [
    *(
        b"data",
        b"data: x",
        b"data:",
        b"id",
        b"id: 7",
        b"id: ",
        b"event",
        b"event: goal",
    ),
    *(b":", b" ", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xe2\x82", b"a", b"retry: 10"),
    *("Zürich".encode(), "🏆".encode(), b"retry: 1s", b": so"),
]
ENDS = [b"", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n"]


def feed(chunks: list[bytes]) -> tuple[list[Event], str, float | None]:
    """What the solution makes of these chunks: the events, the id and the retry."""
    stream = EventStream()
    came = [event for chunk in chunks for event in stream.feed(chunk)]
    return came, stream.last_event_id, stream.retry


def streams_of_chance(count: int, *, seed: int, words: int = 20) -> list[bytes]:
    """Bytes that look like event streams from afar."""
    chance = random.Random(seed)
    return [
        b"".join(chance.choice(PIECES) + chance.choice(ENDS) for _ in range(words))
        for _ in range(count)
    ]


def streams_of_the_lab() -> list[bytes]:
    """Every stream on which a requirement of part 1 tries a parser."""
    trial = _Collecting()
    for requirement in PARSER.requirements:
        requirement.judge(trial)
    return list(dict.fromkeys(trial.streams))


class _Collecting:
    """A trial that runs the solution here, and keeps what was fed to it."""

    def __init__(self) -> None:
        self.streams: list[bytes] = []
        self.outcome = self.capture = None

    def call(self, cases: list[tuple[str, list[bytes]]]) -> Outcome:
        # A stream that begins with an id has no like in a browser.
        self.streams += [b"".join(chunks) for begin, chunks in cases if not begin]
        return Outcome(End.RETURNED, 1.0, feed_all(EventStream, cases))
