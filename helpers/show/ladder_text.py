"""A ladder in characters: for terminals, screen readers, diffs and code hosts."""

from __future__ import annotations

from collections.abc import Iterator

from helpers.measure.units import seconds
from helpers.network.capture import Direction
from helpers.network.decode import Message
from helpers.show.display import printable
from helpers.show.ladder_layout import is_handshake
from helpers.show.ladder_rows import Run
from helpers.show.ladder_svg import label, took

__all__ = ["draw_text", "in_words"]

FLIGHT = 50  # characters between the two lifelines
GAP = 5.0  # a silence this many times the median message is worth a line
TOLD = 12  # messages told one by one to a screen reader


def draw_text(messages: list[Message], *, more: int = 0) -> str:
    """One line for each message: when it was sent, the arrow, how long it took."""
    lines = [f"{'ms':>9}  client{'server':>{FLIGHT - 2}}"]
    several = len({message.connection for message in messages}) > 1
    long = _long_silence(messages)
    latest = first = messages[0].sent if messages else 0.0
    for message in messages:
        if message.sent - latest > long:
            lines.append(f"{'':>9}  ⋮ {seconds(message.sent - latest)} later")
        lines.extend(_lines(message, several, first))
        latest = max(latest, message.arrived or message.sent)
    if more:
        lines.append(f"{'':>9}  … and {more:,} more")
    if not messages:
        lines.append(f"{'':>9}  no messages")
    return "\n".join(lines)


def _long_silence(messages: list[Message]) -> float:
    flights = sorted(
        message.arrived - message.sent
        for message in messages
        if message.arrived is not None and not isinstance(message, Run)
    )
    return max(GAP * flights[len(flights) // 2], 0.001) if flights else 0.001


def _lines(message: Message, several: bool, first: float) -> Iterator[str]:
    words = label(message, several, FLIGHT - 8)
    to_server = message.direction is Direction.TO_SERVER
    arrow = _arrow(words, message, to_server)
    fate = "lost" if message.arrived is None else took(message)
    yield f"{(message.sent - first) * 1e3:9.1f}  {arrow}  {fate}".rstrip()
    if message.note:
        yield f"{'':>9}  │ {printable(message.note)}"


def _arrow(words: str, message: Message, to_server: bool) -> str:
    stroke = "╌" if message.protocol == "TCP" else "─"
    stroke = "┄" if isinstance(message, Run) else stroke
    tail, tip = f"{stroke} {words} ", "►" if to_server else "◄"
    if is_handshake(message):
        tail = f"◄{tail}"
    if message.arrived is None:
        body = tail.ljust(FLIGHT * 3 // 4, stroke) + "✗"
        body = body.ljust(FLIGHT)
    else:
        body = tail.ljust(FLIGHT - 1, stroke) + tip
    return f"│{body}│" if to_server else f"│{_mirrored(body, words)}│"


def _mirrored(body: str, words: str) -> str:
    return body[::-1].replace(words[::-1], words, 1)


def in_words(messages: list[Message], *, more: int = 0) -> str:
    """The same as sentences, for a screen reader."""
    first = messages[0].sent if messages else 0.0
    told = [_sentence(message, first) for message in messages[:TOLD]]
    if left := len(messages) - len(told) + more:
        told.append(f"And {left:,} more messages.")
    return " ".join(told) or "No messages."


def _sentence(message: Message, first: float) -> str:
    sender = "client" if message.direction is Direction.TO_SERVER else "server"
    at = f"At {seconds(message.sent - first)} the {sender} sends"
    words = label(message, several=False, room=60)
    if message.arrived is None:
        return f"{at} {words}, which is lost."
    if isinstance(message, Run):
        return f"{at} {words}, {message.note}."
    return f"{at} {words}, which takes {took(message)}."
