"""Server-sent events in a body (WHATWG HTML, section 9.2: Server-sent events).

Each event is a message, and so is what dispatches none: a comment (the usual
heartbeat) and a block with only ``retry`` or ``id`` in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from helpers.network.part import Part, preview

__all__ = ["events"]

BOM = b"\xef\xbb\xbf"
LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n)")  # any of the three ends a line


def events(body: bytes, ended: bool) -> Iterator[Part]:
    """The parts of an event stream.

    A blank line ends an event. A comment is a part of its own, with the blank line
    that may follow it, unless it stands within an event.
    """
    block: list[bytes] = []
    comment: Part | None = None
    end = 0
    for match in LINE.finditer(body):
        line, end = match[1], match.end()
        if match.start() == 0:
            line = line.removeprefix(BOM)
        waiting, comment = comment, None
        if waiting:
            yield waiting if line else replace(waiting, end=end)
        if line.startswith(b":") and not block:
            comment = _comment(end, line)
        elif line:
            block.append(line)
        elif not waiting:
            yield _event(end, block)
            block = []
    if comment:
        yield comment
    if block or end < len(body):
        note = "no blank line ends it: a client drops it" if ended else ""
        yield Part(len(body), "unfinished", "unfinished", note=note, complete=False)


def _comment(end: int, line: bytes) -> Part:
    text = _text(line[1:]).strip()
    return Part(end, "comment", f"comment {preview(text)}".rstrip(), line[1:])


def _event(end: int, block: list[bytes]) -> Part:
    fields = tuple(_field(line) for line in block if not line.startswith(b":"))
    heeded = {name: value for name, value in fields if _is_heeded(name, value)}
    names = [f"{name} {heeded[name]}" for name in ("id", "retry") if name in heeded]
    data = [value for name, value in fields if name == "data"]
    if not data:
        return _no_event(end, fields, names)
    names.insert(0, f"event {heeded.get('event', '')}".rstrip())
    content = "\n".join(data)
    title = f"{', '.join(names)}: {preview(content)}"
    return Part(end, "event", title, content.encode(), fields)


def _no_event(end: int, fields: tuple[tuple[str, str], ...], names: list[str]) -> Part:
    """A block without data dispatches nothing, and may be meant so."""
    if not fields:
        return Part(end, "blank line", "blank line")
    if not names:
        note = "without data it is no event"
        return Part(end, "no event", "no event", fields=fields, note=note)
    kind = "retry" if names[-1].startswith("retry") else "id"
    return Part(end, kind, ", ".join(names), fields=fields)


def _field(line: bytes) -> tuple[str, str]:
    """One space behind the colon is no part of the value."""
    name, _, value = line.partition(b":")
    return _text(name), _text(value.removeprefix(b" "))


def _is_heeded(name: str, value: str) -> bool:
    """Whether a client heeds it: an id without NULL, a retry of digits only."""
    if name == "id":
        return "\0" not in value
    if name == "retry":
        return value.isascii() and value.isdigit()
    return True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
