"""A part of a body that is read part by part: an event, a comment, a line."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.network.message import Message
from helpers.network.stream import Stream

__all__ = ["Part", "preview"]

PREVIEW = 60  # characters of a content that stand in a title


@dataclass(frozen=True)
class Part:
    """One part, which ends at byte ``end`` of the body it is of.

    ``complete`` is False when the body ends before the part does.
    """

    end: int
    kind: str
    title: str
    content: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()
    note: str = ""
    complete: bool = True

    def message(self, stream: Stream, start: int, end: int, protocol: str) -> Message:
        """The part as it crossed, in the bytes from ``start`` to ``end``."""
        return stream.message(
            start,
            end,
            protocol,
            self.title,
            kind=self.kind,
            headers=self.fields,
            body=self.content,
            note=self.note,
            complete=self.complete,
        )


def preview(content: str) -> str:
    """The beginning of ``content``, on one line."""
    line = " ".join(content[: PREVIEW + 1].splitlines())
    return line if len(content) <= PREVIEW else line[:PREVIEW] + "…"
