"""The table that ends a notebook: what each choice gained, and what it cost."""

from __future__ import annotations

import string

from helpers.lesson import ledger
from helpers.lesson.content import content
from helpers.show.display import MEASURED
from helpers.show.tables import Table, table

__all__ = ["cost_table"]


def cost_table(notebook: str) -> Table:
    """The trade-offs of a notebook, filled with the figures of the ledger.

    A figure that this machine did not measure yet comes from the reference, and is
    labelled so; one that nobody measured is a dash.
    """
    rows = content(notebook)["cost"]
    labels = {MEASURED: None}
    for row in rows:
        for key in _keys(row["gained"] + row["cost"]):
            figure = ledger.figure(key)
            labels[figure.label if figure else "some not measured yet"] = None
    return table(
        [{column: _filled(text) for column, text in row.items()} for row in rows],
        caption="What was gained and what it cost (" + ", ".join(labels) + ")",
    )


def _keys(text: str) -> list[str]:
    return [key for _, key, _, _ in string.Formatter().parse(text) if key]


def _filled(text: str) -> str:
    """Each "{key:.1f}" replaced by its figure."""
    parts = []
    for before, key, spec, _ in string.Formatter().parse(text):
        parts.append(before)
        if key:
            figure = ledger.figure(key)
            parts.append("–" if figure is None else format(figure.value, spec))
    return "".join(parts)
