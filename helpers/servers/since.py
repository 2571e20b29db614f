"""How far a client got, in its own words: the number of the last event that it has."""

from __future__ import annotations

import re

from aiohttp import web

from helpers.servers.problem import Problem

__all__ = ["event_id", "since_of_poll", "since_of_stream"]


def event_id(name: str, text: str) -> int:
    """The number of an event, as a client sends it; ``name`` is where it said so.

    Raises ValueError when it is none.
    """
    if not re.fullmatch("[0-9]{1,15}", text):
        raise ValueError(
            f"{name} is the number of the last event that you have, 0 for none; "
            f"not {text[:20]!r}."
        )
    return int(text)


def since_of_poll(request: web.Request) -> int:
    """From ``?since=57``; 0, which is all that is kept, when it does not say."""
    return _number("since", request.query.get("since", "0"))


def since_of_stream(request: web.Request) -> int | None:
    """From Last-Event-ID, or ``?since=57``; None when it says neither.

    An EventSource reconnects to the address that it was made with, so what it says in
    Last-Event-ID is newer than what stands there.
    """
    for name, said in (("Last-Event-ID", request.headers), ("since", request.query)):
        if name in said:
            return _number(name, said[name])
    return None


def _number(name: str, text: str) -> int:
    try:
        return event_id(name, text)
    except ValueError as error:
        raise Problem(400, str(error)) from None
