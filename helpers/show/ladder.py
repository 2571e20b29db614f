"""The ladder: client, server, and each message between them in time.

The picture everyone knows from textbooks, drawn from the learner's own traffic:

    with VideoServer() as server, Link(server, latency=0.010) as link:
        httpx.get(link.make_url("/videos/1"))
    ladder(link)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from helpers.measure.units import seconds, size
from helpers.network.capture import Capture
from helpers.network.decode import Message, decode
from helpers.show.display import MEASURED, Display, escape, printable
from helpers.show.ladder_rows import Run, fold
from helpers.show.ladder_svg import draw
from helpers.show.ladder_text import draw_text, in_words
from helpers.show.message_list import message_list

__all__ = ["Ladder", "ladder"]

SHOWN = 40  # more than fit on two screens explain nothing


class Linked(Protocol):
    """A link, as far as a ladder looks at it."""

    capture: Capture
    latency: float


def ladder(
    capture: Capture | Linked,
    first: int | None = None,
    connection: int | None = None,
    url: str | None = None,
    title: str | None = None,
    *,
    emulated: str | None = None,
) -> Ladder:
    """Draw what crossed ``capture``; a link does too, and then its delay is told.

    ``first`` is how many messages to show, 40 unless told; those of a stream that
    are many in a row are folded and count as one. ``connection`` shows that one
    only. ``url`` is what the client asked, for the curl lines.
    ``emulated`` says how the link differs from a real one ("20 ms one way").

    Raises ValueError when ``first`` is not positive, or the capture has no such
    connection.
    """
    link, capture = capture, getattr(capture, "capture", capture)
    emulated = emulated or _emulated(link)
    if first is not None and first < 1:
        raise ValueError(f"first={first} shows nothing: it is a number of messages")
    _check_connection(capture, connection)
    messages = decode(capture, url=url)
    if connection is not None:
        messages = [m for m in messages if m.connection == connection]
    facts = _facts(capture, connection, len(messages))
    if emulated:
        facts.append(f"link emulated: {emulated}")
    title = title or "What crossed the link"
    return Ladder(messages, title=title, facts=facts, shown=first or SHOWN)


def _emulated(link: object) -> str | None:
    latency = getattr(link, "latency", None)
    return f"{seconds(latency)} one way" if latency else None


def _check_connection(capture: Capture, connection: int | None) -> None:
    if connection is not None and connection not in capture.log:
        known = ", ".join(map(str, list(capture.log)[:10])) or "none"
        raise ValueError(f"no connection {connection} in this capture; it has {known}")


def _facts(capture: Capture, connection: int | None, messages: int) -> list[str]:
    """The exact counts, also of what is not shown."""
    chosen = list(capture.log.values())
    if connection is not None:
        chosen = [capture.log[connection]]
    to_server = sum(c.bytes_to_server for c in chosen)
    to_client = sum(c.bytes_to_client for c in chosen)
    who = "connection" if capture.transport == "tcp" else "client"
    facts = [
        _count(messages, "message"),
        _count(sum(c.round_trips for c in chosen), "round trip"),
        _count(len(chosen), who) if connection is None else f"{who} {connection} only",
        f"{size(to_server)} to the server, {size(to_client)} to the client",
    ]
    if not capture.complete:
        facts.append(f"{size(capture.dropped_bytes)} not kept by the capture")
    return facts


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class Ladder(Display):
    """What :func:`ladder` returns: a drawing, and its messages to unfold.

    ``messages`` are its rows: many of a stream in a row are one of them, a Run.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        *,
        title: str,
        facts: Sequence[str] = (),
        shown: int = SHOWN,
    ) -> None:
        self.title = title
        rows = fold(list(messages))
        self.messages = rows[:shown]
        self.more = sum(
            len(row.messages) if isinstance(row, Run) else 1 for row in rows[shown:]
        )
        self.caption = " · ".join([*facts, MEASURED])

    def text(self) -> str:
        picture = draw_text(self.messages, more=self.more)
        return f"{printable(self.title)}\n\n{picture}\n\n{printable(self.caption)}"

    def html(self) -> str:
        text = draw_text(self.messages, more=self.more)
        key = "ladder-" + hashlib.sha256(self.text().encode()).hexdigest()[:10]
        svg = draw(
            self.messages,
            title=self.title,
            description=in_words(self.messages, more=self.more),
            more=self.more,
            key=key,
        )
        return (
            f"<figure style='margin:.5em 0'><strong>{escape(self.title)}</strong>"
            f"{_drawn_or_plain(svg, text, key)}"
            f"<figcaption style='margin:.3em 0 .6em'><small>{escape(self.caption)}"
            f"</small></figcaption>{message_list(self.messages)}</figure>"
        )


def _drawn_or_plain(svg: str, text: str, key: str) -> str:
    """The drawing; where the page strips SVG, the text.

    JupyterLab (in a notebook not trusted yet) and code hosts remove both SVG
    and style sheets from stored output. So without our style sheet the text
    shows, and the drawing, of which only stray words would be left, does not.
    The key keeps a ladder that is drawn from unhiding another that is not.
    """
    lines = "\n".join(escape(line) for line in text.split("\n"))
    return (
        f"<style>.{key}-drawn{{display:block!important}}.{key}-plain{{display:none}}"
        f"</style><div class='{key}-drawn' style='display:none'>{svg}</div>"
        f"<pre class='{key}-plain'>{lines}</pre>"
    )
