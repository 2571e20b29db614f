"""The list of events that every way of telling news reads from, and their forms.

Each event has a number, one higher than the one before. So a client can say with
one number how far it got, and the server can see what the client lacks.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from helpers.servers import sse

__all__ = ["Event", "Feed", "Page", "notice"]

MAX_EVENT = 4096  # bytes of JSON; history times this is all that a feed can hold
# Made once: json.dumps() would make an encoder for every event.
encode_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
KIND = re.compile("[a-z][a-z0-9-]{0,30}")
OWN_MEMBERS = {"id", "kind", "born"}
# An EventSource fires events of its own by the first three names (HTML, section
# 9.2.2); the other two are what a server says to one client only.
RESERVED = {"open", "message", "error", "missed", "dropped"}


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happened: a goal, a card, or a notice to one client.

    ``born`` is the moment of its publication by ``time.perf_counter``. On one machine
    that clock is the same in every process (on Linux, macOS and Windows), so whoever
    receives the event can tell its age. A notice has no ``id``: it is not part of the
    list, and changes nothing about how far its client got.
    """

    kind: str
    facts: Mapping[str, object]
    id: int | None = None
    born: float | None = None

    @cached_property
    def json(self) -> bytes:
        """One JSON object on one line, in UTF-8. All ways send this same text."""
        members = {"id": self.id, "kind": self.kind, **self.facts, "born": self.born}
        if self.id is None:
            members = {"kind": self.kind, **self.facts}
        return encode_json(members).encode()

    @cached_property
    def line(self) -> bytes:
        """JSON lines: one object, one line."""
        return self.json + b"\n"

    @cached_property
    def sse(self) -> bytes:
        """One block of an event stream."""
        return sse.block(self.json.decode(), event=self.kind, id=self.id)


def notice(kind: str, **facts: object) -> Event:
    """What the server has to say to one client about its stream."""
    return Event(kind, facts)


class Page(NamedTuple):
    """Some events in order, and what came before them and is lost.

    ``missed`` is how many events between the client's number and the first one here
    are no longer kept; None when the client's number was never given out, so that
    nobody can tell (the numbers began anew, because the process did).
    """

    events: list[Event]
    missed: int | None
    last: int


class Feed:
    """Numbers events, and keeps the newest ``history`` of them.

    Raises ValueError when ``history`` is not at least 1.
    """

    def __init__(self, history: int = 1000) -> None:
        if history < 1:
            raise ValueError(f"a feed keeps at least one event, not {history!r}")
        self._kept: deque[Event] = deque(maxlen=history)
        self._numbered = 0

    @property
    def events(self) -> list[Event]:
        """What is kept, oldest first."""
        return list(self._kept)

    @property
    def numbered(self) -> int:
        """The last number given out; its event may still be on its way."""
        return self._numbered

    @property
    def last(self) -> int:
        """The number of the newest event, 0 when there was none."""
        return self._kept[-1].id if self._kept else 0

    def number(self, kind: str, facts: Mapping[str, object]) -> Event:
        """The next event, not added yet.

        Raises ValueError when the kind is none or the event too large, TypeError when
        a fact has no form in JSON.
        """
        if kind in RESERVED or not KIND.fullmatch(kind):
            raise ValueError(
                "a kind has small letters, digits and '-', and is none of "
                f"{', '.join(sorted(RESERVED))}; not {kind!r}"
            )
        if taken := OWN_MEMBERS & facts.keys():
            raise ValueError(f"{', '.join(sorted(taken))}: the server says that itself")
        event = Event(kind, dict(facts), self._numbered + 1, time.perf_counter())
        if len(event.json) > MAX_EVENT:
            raise ValueError(f"an event has at most {MAX_EVENT} bytes of JSON")
        self._numbered += 1
        return event

    def append(self, event: Event) -> None:
        """Add what :meth:`number` made; in the order of the numbers."""
        self._kept.append(event)

    def since(self, last: int, limit: int) -> Page:
        """The events after number ``last``, at most ``limit`` of them."""
        if last > self.last:  # never given out by this feed: all it has is new
            return self._page(0, limit, missed=None)
        oldest = self._kept[0].id if self._kept else 1
        return self._page(last, limit, missed=max(oldest - 1 - last, 0))

    def _page(self, last: int, limit: int, missed: int | None) -> Page:
        start = len(self._kept) - min(self.last - last, len(self._kept))
        events = list(islice(self._kept, start, start + limit))
        return Page(events, missed, events[-1].id if events else last)
