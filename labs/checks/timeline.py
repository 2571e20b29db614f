"""The picture of a run that failed: who was with the server, from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from helpers.show.canvas import Chart
from helpers.show.charts import spans
from labs.checks.hostile_api import Visit

__all__ = ["Stay", "draw_stays", "draw_visits"]

SHOWN = 24  # rows; more are too thin to read
MOMENT = 0.01  # of the whole time; a bar for less would not be seen


class Stay(NamedTuple):
    """One row of the picture, or a part of it; moments in seconds.

    ``end`` is None for who never got away.
    """

    who: str
    start: float
    end: float | None
    outcome: str


def draw_visits(visits: Sequence[Visit], title: str) -> Chart | None:
    """Each item with all its visits, in the order in which they first came."""
    return draw_stays(
        [Stay(f"item {v.item}", v.came, v.went, v.outcome) for v in visits], title
    )


def draw_stays(stays: Sequence[Stay], title: str) -> Chart | None:
    """None when nobody came at all."""
    if not stays:
        return None
    first = min(stay.start for stay in stays)
    whole = max(stay.end or stay.start for stay in stays) - first
    shown = list(dict.fromkeys(stay.who for stay in stays))[:SHOWN]
    rows = []
    for who, start, end, outcome in stays:
        if who in shown:
            came, went = start - first, whole if end is None else end - first
            is_moment = went - came < MOMENT * whole
            rows.append((who, came, None if is_moment else went, outcome))
    some = f", of the first {SHOWN}" if len(shown) == SHOWN else ""
    return spans(
        rows,
        unit="s",
        title=title,
        alt=f"A bar or a mark for each visit{some}, coloured by how it ended.",
    )
