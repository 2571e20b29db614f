"""What a chat client may say, and when. No I/O: text in, requests and errors out.

A client sends JSON objects, each in a text message of its own:

    {"type": "join", "room": "lobby", "name": "Ann"}
    {"type": "message", "text": "Hello, all"}
    {"type": "private", "to": "Bo", "text": "Hello, you"}
    {"type": "history"}         what did I miss, and who is here?
    {"type": "leave"}           and then perhaps join another room

and gets these, where ``number`` counts the events of the room without a gap:

    {"type": "welcome", "room": …, "name": …, "number": 7, …}
    {"type": "joined", "number": 8, "name": "Bo", …}        and "left"
    {"type": "message", "number": 9, "name": "Ann", "text": …, "at": …}
    {"type": "private", "number": 1, "name": "Ann", "to": "Bo", …}   counted apart
    {"type": "sent", "to": "Bo", "text": …}              your private message went out
    {"type": "history", "number": 9, "members": […], "history": […]}
    {"type": "error", "code": "name-taken", "detail": …}    the connection goes on

A welcome has the members and the history too.
"""

from __future__ import annotations

import enum
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from helpers.servers.chat_room import ChatError, Event, Snapshot, key_of

__all__ = ["MAX_LENGTHS", "Member", "Request", "State", "parse_request"]

# Characters. A text of this length takes at most 24,000 bytes of JSON, when every
# character is escaped as a pair of surrogates: less than the server's max_size.
MAX_LENGTHS: Mapping[str, int] = {"room": 64, "name": 32, "to": 32, "text": 2000}

FIELDS: Mapping[str, tuple[str, ...]] = {
    "join": ("room", "name"),
    "message": ("text",),
    "private": ("to", "text"),
    "history": (),
    "leave": (),
}


class State(enum.Enum):
    """Where a client is."""

    OUTSIDE = "outside of any room"
    JOINING = "on the way into a room"
    INSIDE = "inside a room"
    LEAVING = "on the way out"


# What can happen in each state, and which state comes after it. The first names of
# a row are requests of the client, "welcomed", "refused" and "left" are our answers.
TRANSITIONS: Mapping[State, Mapping[str, State]] = {
    State.OUTSIDE: {"join": State.JOINING},
    State.JOINING: {"welcomed": State.INSIDE, "refused": State.OUTSIDE},
    State.INSIDE: {
        "message": State.INSIDE,
        "private": State.INSIDE,
        "history": State.INSIDE,
        "leave": State.LEAVING,
    },
    State.LEAVING: {"left": State.OUTSIDE},
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a client; fields that its type does not have are empty."""

    type: str
    room: str = ""
    name: str = ""
    to: str = ""
    text: str = ""


class Member:
    """One client of the chat, from its first message to its last."""

    def __init__(self, *, held_limit: int = 100) -> None:
        self.state = State.OUTSIDE
        self.room = ""
        self.name = ""
        self.since = 0  # the event with this number, and all before, it knows of
        self._held: deque[Event] = deque(maxlen=held_limit)

    def receive(self, frame: str | bytes) -> Request:
        """What the client asks for.

        Raises ChatError when that is no request, or not one for this state.
        """
        request = parse_request(frame)
        self._move(request.type)
        if request.type == "join":
            self.room, self.name = request.room, request.name
        return request

    def hold(self, event: Event) -> None:
        """Keep what happens while it joins: the welcome has to come first."""
        self._held.append(event)

    def welcome(self, snapshot: Snapshot) -> list[str]:
        """It is in the room. What to send: the welcome, and all that came after."""
        self._move("welcomed")
        self.since = snapshot.number
        later = [event for event in self._held if self.is_told(event)]
        self._held.clear()
        welcome = snapshot.to_json("welcome", room=self.room, name=self.name)
        return [welcome, *(event.to_json() for event in later)]

    def is_told(self, event: Event) -> bool:
        """Whether ``event`` concerns it, and is not in what the welcome told."""
        if event.type == "private":
            return key_of(event.to) == key_of(self.name)
        return event.number > self.since

    def refuse(self) -> None:
        """It could not join."""
        self._move("refused")
        self._held.clear()
        self.room = self.name = ""

    def leave(self) -> bool:
        """Its connection has ended: whether there is a room to be left."""
        if self.state is State.INSIDE:
            self._move("leave")
        return self.state is State.LEAVING

    def left(self) -> None:
        """It is out of the room."""
        self._move("left")
        self.room = self.name = ""

    def _move(self, event: str) -> None:
        possible = TRANSITIONS[self.state]
        if event not in possible:
            detail = (
                f"{event!r} is not possible {self.state.value}: "
                f"what is possible now is {' or '.join(possible)}"
            )
            raise ChatError("not-now", detail)
        self.state = possible[event]


def parse_request(frame: str | bytes) -> Request:
    """A request from the text that came. Raises ChatError, which says what is wrong."""
    if not isinstance(frame, str):
        raise ChatError("not-text", "that was a binary message: send JSON as text")
    try:
        document = json.loads(frame)
    except (ValueError, RecursionError) as error:
        problem = str(error) or "nested too deep"
        raise ChatError("bad-json", f"that is no JSON: {problem}") from None
    if not isinstance(document, dict):
        raise ChatError("bad-request", "send an object, as in {'type': 'leave'}")
    type_ = document.get("type")
    if not isinstance(type_, str) or type_ not in FIELDS:
        known = ", ".join(FIELDS)
        detail = f"the type is one of {known}; not {str(type_)[:32]!r}"
        raise ChatError("bad-request", detail)
    return Request(type_, **{key: _field(document, key) for key in FIELDS[type_]})


def _field(document: dict[str, object], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ChatError("bad-request", f"{document['type']!r} needs a text as {key!r}")
    value = value.strip()
    if len(value) > MAX_LENGTHS[key]:
        detail = f"{key!r} has {len(value)} characters, at most {MAX_LENGTHS[key]} go"
        raise ChatError("too-long", detail)
    if key == "text":
        _refuse_lone_surrogates(value)
    elif not value.isprintable():
        # Control characters, and those that are invisible or turn the direction of
        # writing: with them one name can look like another.
        raise ChatError("bad-request", f"{key!r} has characters that do not print")
    return value


def _refuse_lone_surrogates(text: str) -> None:
    """JSON can name half of a pair, as in "\\ud800"; UTF-8 can not carry it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        detail = "'text' has half of a surrogate pair, which is no character"
        raise ChatError("bad-request", detail) from None
