"""A chat room: who is in it, what was said, and the number that comes next. No I/O.

Every event of a room that all its members may see (somebody joined, left, or said
something) gets the next number, so that a client sees the order, and a gap where it
missed something. Private messages are numbered apart, for each one who gets them:
they must leave no gap in what the others see.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter, deque
from dataclasses import dataclass, replace

__all__ = ["ChatError", "Event", "Room", "Snapshot", "key_of", "refusal"]


class ChatError(Exception):
    """What a client asked for can not be done, and the connection goes on.

    ``code`` is for programs, ``detail`` tells a person what was wrong and what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def to_json(self) -> str:
        return to_json({"type": "error", "code": self.code, "detail": self.detail})


# What a room, or the one who keeps the rooms, refuses; and what it is told of then.
REFUSALS = {
    "name-taken": "{!r} is here already: take another name",
    "nobody-there": "nobody named {!r} is here: see the list of members",
    "no-room": "there is no room {!r}: join it",
    "not-a-member": "{!r} is not here: join first",
    "room-full": "the room holds {}: take another room, or wait",
    "too-many-rooms": "all {} rooms are in use: join one of them",
}


def refusal(code: str, what: object) -> ChatError:
    """The error to raise. ``what`` is the name or the limit that stands against it."""
    return ChatError(code, REFUSALS[code].format(what))


@dataclass(frozen=True, slots=True)
class Event:
    """What happened in a room: ``joined``, ``left``, ``message`` or ``private``.

    ``name`` is who did it, ``at`` when (seconds since 1970), and ``number`` its place
    in the order. ``id`` is for the server that published it, to know it again.
    """

    type: str
    room: str
    name: str
    text: str = ""
    to: str = ""
    number: int = 0
    at: float = 0.0
    id: str = ""

    def to_json(self) -> str:
        """What a client gets to see of it."""
        return to_json(self.members())

    def members(self) -> dict[str, object]:
        """The members of its JSON object: those that say something, without the id."""
        every = ("type", "room", "number", "name", "to", "text", "at")
        return {key: value for key in every if (value := getattr(self, key))}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A room at one moment: just after the event with ``number``."""

    number: int
    members: tuple[str, ...]
    history: tuple[Event, ...]

    def to_json(self, type: str, **more: object) -> str:
        history = [event.members() for event in self.history]
        known = {"number": self.number, "members": self.members, "history": history}
        return to_json({"type": type} | more | known)


class Room:
    """The one who decides: it numbers events, and keeps the last ``history_limit``."""

    def __init__(self, *, history_limit: int, max_members: int) -> None:
        self.number = 0
        self.history: deque[Event] = deque(maxlen=history_limit)
        self.max_members = max_members
        self._names: dict[str, str] = {}
        self._private_numbers: Counter[str] = Counter()

    @property
    def members(self) -> tuple[str, ...]:
        """Their names, in the order in which they came."""
        return tuple(self._names.values())

    def snapshot(self) -> Snapshot:
        return Snapshot(self.number, self.members, tuple(self.history))

    def apply(self, event: Event) -> Event:
        """Let ``event`` happen; returns it with its number.

        Raises ChatError when it can not: ``name-taken`` or ``room-full`` for one who
        joins, ``nobody-there`` for a private message, ``not-a-member`` for all that
        only members can do.
        """
        if event.type == "joined":
            self._add(event.name)
        elif key_of(event.name) not in self._names:
            raise refusal("not-a-member", event.name)
        if event.type == "private":
            return self._number_private(event)
        if event.type == "left":
            self._remove(event.name)
        self.number += 1
        event = replace(event, number=self.number)
        if event.type == "message":
            self.history.append(event)
        return event

    def _add(self, name: str) -> None:
        if key_of(name) in self._names:
            raise refusal("name-taken", self._names[key_of(name)])
        if len(self._names) >= self.max_members:
            raise refusal("room-full", self.max_members)
        self._names[key_of(name)] = name

    def _remove(self, name: str) -> None:
        del self._names[key_of(name)]
        self._private_numbers.pop(key_of(name), None)

    def _number_private(self, event: Event) -> Event:
        key = key_of(event.to)
        if key not in self._names:
            raise refusal("nobody-there", event.to)
        self._private_numbers[key] += 1
        return replace(event, to=self._names[key], number=self._private_numbers[key])


def key_of(name: str) -> str:
    """Equal for names that a reader takes for the same: Ann, ANN, and ａｎｎ."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded)


def to_json(document: dict[str, object]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
