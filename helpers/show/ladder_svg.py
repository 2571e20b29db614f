"""The drawing of a ladder: an SVG that follows the theme of the page around it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from helpers.measure.units import seconds, size
from helpers.network.decode import Message
from helpers.show.display import escape, printable
from helpers.show.ladder_layout import (
    Arrow,
    Fold,
    Layout,
    Side,
    handshake_title,
    is_break,
    is_handshake,
    lay_out,
)
from helpers.show.ladder_rows import Run

__all__ = ["draw", "label", "shorten", "took"]

WIDTH = 760
AXIS = 52
X = {Side.CLIENT: 124, Side.SERVER: 644}
FLIGHT = X[Side.SERVER] - X[Side.CLIENT]
INSET = 14
CHARACTERS = 36  # of 7 px at most: a label stays in its sender's half, so none overlap
TEXT = "var(--jp-content-font-color1,currentColor)"
FAINT = "var(--jp-content-font-color2,currentColor)"
PAGE = "var(--jp-layout-color0,Canvas)"
TROUBLE = "#d55e00"
# After Okabe and Ito, each with contrast enough on white and on black.
COLOURS = ("#1f88c9", "#009e73", "#cc79a7", "#b8860b", "#56b4e9")


def draw(
    messages: list[Message], *, title: str, description: str, more: int, key: str
) -> str:
    """An ``<svg>`` of ``messages``, with ``more`` that are not shown.

    ``key`` makes the ids of the title and the description unique on the page.
    """
    layout = lay_out(messages)
    remark = f"… and {more:,} more" if more else "" if messages else "no messages"
    height = layout.height + (34 if remark else 14)
    unit = "s" if layout.ticks and layout.ticks[-1].time >= 10 else "ms"
    several = len({message.connection for message in messages}) > 1
    parts = [
        f'<svg role="img" aria-labelledby="{key}-t {key}-d" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'style="max-width:100%;height:auto;color:{TEXT};'
        'font:12px var(--jp-ui-font-family,sans-serif)">',
        f'<title id="{key}-t">{escape(title)}</title>',
        f'<desc id="{key}-d">{escape(description)}</desc>',
        *_lifelines(height - (24 if remark else 4)),
        *_axis(layout, unit),
        *(part for fold in layout.folds for part in _fold(fold)),
        *(part for arrow in layout.arrows for part in _line(arrow)),
        *(part for arrow in layout.arrows for part in _words(arrow, several)),
    ]
    if remark:
        middle = (X[Side.CLIENT] + X[Side.SERVER]) / 2
        parts.append(_text(middle, height - 8, remark, "middle"))
    return "".join([*parts, "</svg>"])


def label(message: Message, several: bool, room: int) -> str:
    """What stands on the arrow: the connection, if there are several; title; size."""
    front = f"#{message.connection} " if several else ""
    if is_handshake(message):
        return f"{front}{handshake_title(message)}"
    if message.protocol == "TCP":
        return front + shorten(message.title, room)
    end = f" · {size(message.size)}"
    return front + shorten(message.title, room - len(front) - len(end)) + end


def took(message: Message) -> str:
    """How long it was under way; a run was not, and its note tells how long it is."""
    if isinstance(message, Run):
        return ""
    return seconds(message.arrived - message.sent)


def shorten(text: str, room: int) -> str:
    text = printable(text)
    return text if len(text) <= room else text[: max(room - 1, 1)] + "…"


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str,
    style: str = "",
    transform: str = "",
) -> str:
    turned = f' transform="{transform}"' if transform else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned} '
        f'style="fill:{TEXT};stroke:{PAGE};stroke-width:3px;paint-order:stroke;'
        f'stroke-linejoin:round;{style}">{escape(text)}</text>'
    )


def _lifelines(bottom: float) -> Iterator[str]:
    for side, x in X.items():
        yield _text(x, 20, side.name.lower(), "middle", "font-weight:600")
        yield (
            f'<path d="M{x} 30V{bottom:.1f}" '
            f'style="stroke:{FAINT};stroke-width:1.5px"/>'
        )


def _axis(layout: Layout, unit: str) -> Iterator[str]:
    yield _text(AXIS, 20, unit, "end", f"fill:{FAINT}")
    for tick in layout.ticks:
        yield _text(
            AXIS, tick.y + 4, _time(tick.time, unit), "end", f"fill:{FAINT};{_SMALL}"
        )
        yield (
            f'<path d="M{AXIS + 3} {tick.y:.1f}h5" '
            f'style="stroke:{FAINT};stroke-width:1px"/>'
        )


_SMALL = "font-size:11px"


def _time(seconds: float, unit: str) -> str:
    if unit == "s":
        return f"{seconds:.2f}"
    return f"{seconds * 1e3:.1f}" if seconds < 1 else f"{seconds * 1e3:,.0f}"


def _fold(fold: Fold) -> Iterator[str]:
    """A break in both lifelines, and beside it how much time it stands for."""
    for x in X.values():
        zigzag = f"M{x} {fold.y - 9:.1f}l6 4.5l-12 4.5l12 4.5l-6 4.5"
        yield (
            f'<path d="M{x} {fold.y - 9:.1f}v18" '
            f'style="stroke:{PAGE};stroke-width:4px"/>'
            f'<path d="{zigzag}" '
            f'style="fill:none;stroke:{FAINT};stroke-width:1.5px"/>'
        )
    style = f"fill:{FAINT};font-style:italic;{_SMALL}"
    yield _text(AXIS + 56, fold.y + 4, f"⋮ {seconds(fold.seconds)}", "end", style)


def _colour(message: Message) -> str:
    return COLOURS[(message.connection - 1) % len(COLOURS)]


def _line(arrow: Arrow) -> Iterator[str]:
    """The arrow itself, out to where it came."""
    message = arrow.message
    colour = TROUBLE if is_break(message) else _colour(message)
    dash = ""
    if is_handshake(message):
        dash = "stroke-dasharray:6 4;"
    elif message.protocol == "TCP":
        dash = "stroke-dasharray:2 3;"
    elif isinstance(message, Run):
        dash = "stroke-dasharray:1 5;stroke-width:5px;"
    path, tip, leg = _path(arrow)
    yield (
        f'<path d="{path}" style="fill:none;stroke:{colour};stroke-width:2px;{dash}"/>'
    )
    if arrow.lost:
        yield _cross(*tip)
    else:
        yield _head(tip, leg, colour)


Spot = tuple[float, float]


def _path(arrow: Arrow) -> tuple[str, Spot, Spot]:
    """The line, its tip, and where its last leg starts."""
    start = (X[arrow.side], arrow.start)
    far = X[arrow.side.other]
    if arrow.lost:
        far = start[0] + (far - start[0]) * 0.6
        tip = (far, arrow.end)
        return f"M{_xy(start)}L{_xy(tip)}", tip, start
    if arrow.turn is not None:
        turn, tip = (far, arrow.turn), (start[0], arrow.end)
        return f"M{_xy(start)}L{_xy(turn)}L{_xy(tip)}", tip, turn
    tip = (far, arrow.end)
    return f"M{_xy(start)}L{_xy(tip)}", tip, start


def _xy(spot: Spot) -> str:
    return f"{spot[0]:.1f} {spot[1]:.1f}"


def _head(tip: Spot, leg: Spot, colour: str) -> str:
    angle = math.degrees(math.atan2(tip[1] - leg[1], tip[0] - leg[0]))
    return (
        f'<path d="M0 0L-10 -4.5L-10 4.5Z" style="fill:{colour}" '
        f'transform="translate({_xy(tip)}) rotate({angle:.1f})"/>'
    )


def _cross(x: float, y: float) -> str:
    return (
        f'<path d="M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12" '
        f'style="stroke:{TROUBLE};stroke-width:2.5px"/>'
    )


def _words(arrow: Arrow, several: bool) -> Iterator[str]:
    """Label above the line, note below it, duration beside its end."""
    message = arrow.message
    x, anchor, angle = _slope(arrow)
    turned = f"rotate({angle:.2f} {X[arrow.side]} {arrow.start:.1f})"
    words = label(message, several, CHARACTERS)
    yield _text(x, arrow.start - 5, words, anchor, transform=turned)
    if message.note:
        note = shorten(message.note, CHARACTERS + 4)
        style = f"fill:{FAINT};font-style:italic;{_SMALL}"
        yield _text(x, arrow.start + 13, note, anchor, style, turned)
    if arrow.lost:
        end = X[arrow.side] + math.copysign(FLIGHT * 0.6 + 12, 1 - 2 * arrow.side)
        word = "cut off" if message.note.startswith("cut off") else "lost"
        yield _text(
            end,
            arrow.end + 5,
            word,
            "end" if arrow.side else "start",
            f"fill:{TROUBLE};{_SMALL}",
        )
    else:
        yield _took(arrow)


def _slope(arrow: Arrow) -> tuple[float, str, float]:
    """Where along the line the words start, how they are anchored, their angle."""
    run = FLIGHT * (0.6 if arrow.lost else 1)
    target = arrow.end if arrow.turn is None else arrow.turn
    angle = math.degrees(math.atan2(target - arrow.start, run))
    if arrow.side is Side.CLIENT:
        return X[arrow.side] + INSET, "start", angle
    return X[arrow.side] - INSET, "end", -angle


def _took(arrow: Arrow) -> str:
    side = arrow.side if arrow.turn is not None else arrow.side.other
    text = took(arrow.message)
    style = f"fill:{FAINT};{_SMALL}"
    if side is Side.CLIENT:
        return _text(X[side] - 6, arrow.end + 4, text, "end", style)
    return _text(X[side] + 7, arrow.end + 4, text, "start", style)
