"""Where each message of a ladder goes, in pixels. No drawing here.

Time runs downward, but not evenly: where messages are close together the axis
is stretched until their labels fit, and where nothing happens for long it is
folded. So the axis is piecewise, and each tick carries its own true time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

from helpers.network.capture import Direction
from helpers.network.decode import Message
from helpers.show.ladder_rows import Run

__all__ = [
    "Arrow",
    "Fold",
    "Layout",
    "Side",
    "Tick",
    "handshake_title",
    "is_break",
    "is_handshake",
    "lay_out",
]

LEG = 9  # pixels that a leg of a handshake goes down at least
TOP = 52.0  # below the names of the two sides
LABEL = 24.0  # an arrow's label stands above its start
NOTE = 14.0  # and its note below
END = 13.0  # beside an arrow's end stands how long it took
TICK = 13.0
TYPICAL = 40.0  # what a typical flight gets
LONGEST = 2.2 * TYPICAL  # a longer step is folded
FOLDED = 44.0
LOST_DROP = 16.0


class Side(IntEnum):
    CLIENT = 0
    SERVER = 1

    @property
    def other(self) -> Side:
        return Side(1 - self)


class Kind(IntEnum):
    START = 0
    TURN = 1  # of a handshake, which goes there and back
    END = 2


# How far each kind of point keeps from what stands above it at its lifeline.
ROOM = {Kind.START: LABEL, Kind.TURN: END, Kind.END: END}


@dataclass
class Arrow:
    """One message: from ``start`` at ``side`` to ``end``; both are y in pixels.

    ``turn`` is where a handshake turns round; ``end`` is then at the same side.
    """

    message: Message
    side: Side
    start: float = 0.0
    turn: float | None = None
    end: float = 0.0

    @property
    def lost(self) -> bool:
        return self.message.arrived is None


@dataclass(frozen=True)
class Tick:
    y: float
    time: float  # seconds since the first message shown was sent


@dataclass(frozen=True)
class Fold:
    y: float
    seconds: float


@dataclass
class Layout:
    arrows: list[Arrow]
    ticks: list[Tick] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    height: float = TOP


@dataclass(frozen=True, order=True)
class _Point:
    """A moment at which an arrow touches a lifeline."""

    time: float
    index: int
    kind: Kind

    def side(self, arrow: Arrow) -> Side:
        stays = self.kind is Kind.START or (
            self.kind is Kind.END and is_handshake(arrow.message)
        )
        return arrow.side if stays else arrow.side.other


def is_handshake(message: Message) -> bool:
    return message.protocol == "TCP" and "handshake" in message.title


def handshake_title(message: Message) -> str:
    """A link without latency imitates no handshake: there the kernel's own is all."""
    emulated = message.arrived is not None and message.arrived > message.sent
    return f"{message.title}, emulated" if emulated else message.title


def is_break(message: Message) -> bool:
    """Whether it ends a connection the hard way."""
    return message.protocol == "TCP" and message.title.startswith(("reset", "cut"))


def lay_out(messages: Sequence[Message]) -> Layout:
    """Place ``messages``, which are in the order in which they were sent."""
    layout = Layout([Arrow(message, _side_of(message)) for message in messages])
    points = sorted(
        point
        for index, arrow in enumerate(layout.arrows)
        for point in _points(index, arrow.message)
    )
    _place(layout, points)
    return layout


def _side_of(message: Message) -> Side:
    to_server = message.direction is Direction.TO_SERVER
    return Side.CLIENT if to_server else Side.SERVER


def _points(index: int, message: Message) -> Iterator[_Point]:
    yield _Point(message.sent, index, Kind.START)
    if message.arrived is None:
        return
    if is_handshake(message):
        middle = (message.sent + message.arrived) / 2
        yield _Point(middle, index, Kind.TURN)
    yield _Point(message.arrived, index, Kind.END)


def _place(layout: Layout, points: list[_Point]) -> None:
    if not points:
        return
    runs = {i for i, a in enumerate(layout.arrows) if isinstance(a.message, Run)}
    scale = _scale(points, runs)
    y = TOP + LABEL
    taken = [TOP, TOP]  # per side: down to where something stands already
    before = first = points[0].time
    for point in points:
        arrow = layout.arrows[point.index]
        side = point.side(arrow)
        step = (point.time - before) * scale
        folded = step > LONGEST
        next_y = y + (FOLDED if folded else step)
        if point.kind is Kind.TURN or (
            is_handshake(arrow.message) and point.kind is Kind.END
        ):
            next_y = max(next_y, y + LEG)  # two legs, also where they take no time
        if not _continues(point, arrow):
            next_y = max(next_y, taken[side] + ROOM[point.kind])
        if folded:
            layout.folds.append(Fold((y + next_y) / 2, point.time - before))
        y, before = next_y, point.time
        taken[side] = _mark(point, arrow, y)
        _add_tick(layout, y, point.time - first)
    layout.height = max(y, *taken)


def _continues(point: _Point, arrow: Arrow) -> bool:
    """Whether an arrow ends when it starts: then it is level."""
    return point.kind is not Kind.START and arrow.message.sent == point.time


def _mark(point: _Point, arrow: Arrow, y: float) -> float:
    """Note the point on its arrow; return down to where that takes room."""
    if point.kind is Kind.END:
        arrow.end = y
        return y
    if point.kind is Kind.TURN:
        arrow.turn = y
        return y
    arrow.start = y
    arrow.end = y + LOST_DROP
    return y + (NOTE if arrow.message.note else 0)


def _add_tick(layout: Layout, y: float, time: float) -> None:
    if not layout.ticks or y - layout.ticks[-1].y >= TICK:
        layout.ticks.append(Tick(y, time))


def _scale(points: list[_Point], runs: set[int]) -> float:
    """Pixels per second, so that neither flights nor pauses are mostly folded.

    ``runs`` are the indices of those arrows that are no flight of one message.
    """
    times = [point.time for point in points]
    steps = [after - before for before, after in pairwise(times)]
    sent = {point.index: point.time for point in points if point.kind is Kind.START}
    flights = [
        point.time - sent[point.index]
        for point in points
        if point.kind is Kind.END and point.index not in runs
    ]
    typical = max(_median(steps), _median(flights))
    return TYPICAL / typical if typical else 1.0


def _median(durations: list[float]) -> float:
    known = sorted(seconds for seconds in durations if seconds > 1e-9)
    return known[len(known) // 2] if known else 0.0
