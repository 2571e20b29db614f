"""The messages of a ladder byte by byte, as HTML that unfolds."""

from __future__ import annotations

import re

from helpers.measure.units import seconds, size
from helpers.network.capture import Direction
from helpers.network.decode import Message
from helpers.show.display import escape
from helpers.show.ladder_rows import Run

__all__ = ["message_list"]

# A stored notebook holds these for each message, so they are small.
TEXT_BYTES = 1500
HEX_BYTES = 192
RUN_LINES = 100  # of a run, whose messages have a line each
CONTENT = {"WebSocket": "Payload", "SSE": "Data", "JSON lines": "Line"}
TIGHT = "style='margin:.3em 0'"
PRE = (
    "style='margin:.3em 0;padding:.4em .6em;overflow-x:auto;"
    "border-left:3px solid #8888;white-space:pre'"
)
SPLIT = re.compile(r"(\r\n|\r|\n|\t)")
ENDS = {
    end: f"<span style='opacity:.55'>{name}</span>{new_line}"
    for end, name, new_line in [
        ("\r\n", "\\r\\n", "\n"),
        ("\n", "\\n", "\n"),
        ("\r", "\\r", ""),
        ("\t", "\\t", ""),
    ]
}


def message_list(messages: list[Message]) -> str:
    """A ``<details>`` for each message: headline, exact bytes, note, command line."""
    first = messages[0].sent if messages else 0.0
    items = "".join(_item(message, first) for message in messages)
    return (
        "<details><summary>The messages, byte by byte</summary>"
        f"<div style='margin-left:1.2em'>{items}</div></details>"
    )


def _item(message: Message, first: float) -> str:
    to_server = message.direction is Direction.TO_SERVER
    wire = [] if message.protocol == "TCP" else [size(message.size)]
    facts = [*wire, message.protocol, f"connection {message.connection}"]
    headline = (
        f"{(message.sent - first) * 1e3:.1f} ms {'→' if to_server else '←'} "
        f"<b>{escape(message.title)}</b> · {escape(' · '.join(facts))} · "
        f"{_fate(message)}"
    )
    if isinstance(message, Run):
        return (
            f"<details><summary>{headline}</summary>{_lines(message, first)}</details>"
        )
    parts = [f"<p {TIGHT}>{line}</p>" for line in _remarks(message)]
    if message.protocol == "WebSocket" and message.body not in message.raw:
        parts.append(exact_bytes(message.body))
        parts.append(f"<p {TIGHT}>As it crossed:</p>")
    if message.raw:
        parts.append(exact_bytes(message.raw))
    if message.curl:
        parts.append(f"<p {TIGHT}>The same by hand:</p>{_pre(escape(message.curl))}")
    if not parts:
        return f"<div style='margin-left:1.1em'>{headline}</div>"
    return f"<details><summary>{headline}</summary>{''.join(parts)}</details>"


def _lines(run: Run, first: float) -> str:
    """A line for each message of a run; its bytes are like those around it."""
    lines = [
        f"{(message.sent - first) * 1e3:12.1f} ms  {message.size:>7,} B  "
        f"{escape(message.title)}"
        for message in run.messages[:RUN_LINES]
    ]
    if (more := len(run.messages) - RUN_LINES) > 0:
        lines.append(f"<i>… {more:,} more messages left out here</i>")
    return _pre("\n".join(lines))


def _fate(message: Message) -> str:
    if message.arrived is None:
        return "lost"
    if isinstance(message, Run):
        return message.note
    return f"took {seconds(message.arrived - message.sent)}"


def _remarks(message: Message) -> list[str]:
    remarks = []
    if message.note:
        remarks.append(f"<i>{escape(message.note)}</i>")
    if message.protocol == "WebSocket":
        fields = (f"{name} <b>{escape(value)}</b>" for name, value in message.headers)
        remarks.append(" · ".join(fields))
    if message.body:
        kind = {name.lower(): value for name, value in message.headers}.get(
            "content-type"
        )
        remarks.append(
            f"{CONTENT.get(message.protocol, 'Body')}: {size(len(message.body))}"
            + (f" of {escape(kind)}" if kind else "")
        )
    missing = message.size - len(message.raw)
    if missing > 0 and message.size:
        remarks.append(
            f"The capture did not keep {missing:,} of {message.size:,} bytes."
        )
    return remarks


def exact_bytes(raw: bytes) -> str:
    """``raw`` as text with visible line ends where it is text, else as a hex dump.

    A head in text before a binary body (HTTP) is shown as text.
    """
    if _is_text(raw[:TEXT_BYTES]):
        return _text(raw)
    head, blank, body = raw.partition(b"\r\n\r\n")
    if blank and _is_text(head[:TEXT_BYTES]):
        return _text(head + blank) + _hex(body)
    return _hex(raw)


def _is_text(raw: bytes) -> bool:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        if error.end < len(raw):  # else only cut within a character
            return False
        text = raw[: error.start].decode()
    return all(c.isprintable() or c in "\r\n\t" for c in text)


def _text(raw: bytes) -> str:
    """Line ends are spelled as Python spells them, and dimmed: they are no text."""
    text = raw[:TEXT_BYTES].decode(errors="replace")
    shown = "".join(ENDS.get(part, escape(part)) for part in SPLIT.split(text))
    return _pre(shown.rstrip("\n"), left_out=len(raw) - TEXT_BYTES)


def _hex(raw: bytes) -> str:
    lines = [
        f"{at:06x}  {raw[at : at + 16].hex(' '):<47}  {_ascii(raw[at : at + 16])}"
        for at in range(0, min(len(raw), HEX_BYTES), 16)
    ]
    dump = "\n".join(escape(line) for line in lines)
    return _pre(dump, left_out=len(raw) - HEX_BYTES)


def _ascii(raw: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in raw)


def _pre(content: str, *, left_out: int = 0) -> str:
    """``content`` is HTML."""
    if left_out > 0:
        content += f"\n<i>… {left_out:,} more bytes left out here</i>"
    return f"<pre {PRE}>{content}</pre>"
