"""The text of an event stream, as the WHATWG's HTML standard has it (section 9.2).

retry: 1000
                        a blank line ends a block
id: 57
event: goal
data: {"match": "…"}

: a line that begins with a colon says nothing
"""

from __future__ import annotations

import re

__all__ = ["HEADERS", "block", "comment", "retry"]

LINE_END = re.compile("\r\n|\r|\n")
NOT_IN_A_LINE = re.compile("[\r\n\0]")

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # nginx holds a response back until its buffer is full, unless it reads this.
    "X-Accel-Buffering": "no",
}


def block(data: str, *, event: str | None = None, id: int | str | None = None) -> bytes:
    """One event. An EventSource gives it to the listeners for ``event``.

    ``id`` is what the client sends back as Last-Event-ID when it reconnects; without
    one it keeps the id that it had.

    Raises ValueError for what the format can not carry: a line break in ``event`` or
    ``id``, and U+0000 in ``id``, because of which a client would ignore the id.
    """
    fields = f"id: {_one_line('id', str(id))}\n" if id is not None else ""
    if event is not None:
        fields += f"event: {_one_line('event', event)}\n"
    # CR, LF and CRLF all end a line (section 9.2.5), so each part gets its own field.
    data = LINE_END.sub("\ndata: ", data)
    return f"{fields}data: {data}\n\n".encode()


def comment(text: str = "") -> bytes:
    """What a client skips: it keeps a silent line from being taken for a dead one."""
    return f": {_one_line('a comment', text)}\n\n".encode()


def retry(seconds: float) -> bytes:
    """How long a client waits before it reconnects; whole milliseconds on the wire.

    Raises ValueError when it is negative or not finite.
    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"retry is in seconds, zero or more; not {seconds!r}")
    return f"retry: {round(seconds * 1000)}\n\n".encode()


def _one_line(name: str, value: str) -> str:
    if NOT_IN_A_LINE.search(value):
        raise ValueError(f"{name} is one line without U+0000; not {value!r}")
    return value
