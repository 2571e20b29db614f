"""Tables: what was gained and what it cost, with the learner's own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

from helpers.measure.units import number
from helpers.show.display import Display, check_label, escape, printable

__all__ = ["Table", "table"]

Row = Mapping[str, object] | Sequence[object]


def table(
    rows: Sequence[Row],
    columns: Sequence[str] | None = None,
    *,
    caption: str,
    label: str | None = None,
) -> Table:
    """A table for a page and for a terminal.

    Each row is a mapping from column to value, or a sequence in the order of
    ``columns``. The first column heads its row. Numbers are rounded to three
    digits and stand to the right; write the unit into the column's name. None
    means that there is no value.

    Raises ValueError when a row does not fit the columns, or when ``label`` is
    none of the labels of display.py.
    """
    if columns is None:
        columns = _columns_of(rows)
    cells = [_in_order(row, columns) for row in rows]
    return Table(list(columns), cells, caption, label and check_label(label))


class Table(Display):
    """What :func:`table` returns."""

    def __init__(
        self,
        columns: list[str],
        rows: list[list[object]],
        caption: str,
        label: str | None = None,
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.caption = caption
        self.label = label

    def html(self) -> str:
        left = "style='text-align:left;vertical-align:top'"
        head = "".join(
            f"<th scope='col' {_align(self._is_numeric(i))}>{escape(name)}</th>"
            for i, name in enumerate(self.columns)
        )
        body = "".join(
            f"<tr><th scope='row' {left}>{escape(_shown(row[0]))}</th>"
            + "".join(
                f"<td {_align(_is_number(value))}>{escape(_shown(value))}</td>"
                for value in row[1:]
            )
            + "</tr>"
            for row in self.rows
        )
        caption = f"<strong>{escape(self.caption)}</strong>"
        if self.label:
            caption += f" <small>({escape(self.label)})</small>"
        return (
            f"<table><caption {left}>{caption}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def text(self) -> str:
        grid = [self.columns, *([_shown(v) for v in row] for row in self.rows)]
        grid = [[printable(cell) for cell in row] for row in grid]
        widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
        right = [self._is_numeric(i) for i in range(len(widths))]
        lines = [_line(row, widths, right) for row in grid]
        lines.insert(1, "  ".join("-" * width for width in widths))
        title = self.caption + (f" ({self.label})" if self.label else "")
        return "\n".join([title, "", *lines])

    def _is_numeric(self, column: int) -> bool:
        values = [row[column] for row in self.rows if row[column] is not None]
        return bool(values) and column > 0 and all(map(_is_number, values))


def _columns_of(rows: Sequence[Row]) -> list[str]:
    if not all(isinstance(row, Mapping) for row in rows):
        raise ValueError("rows without names need columns=[…] that name their values")
    return list(dict.fromkeys(name for row in rows for name in row))


def _in_order(row: Row, columns: Sequence[str]) -> list[object]:
    if isinstance(row, Mapping):
        if unknown := [name for name in row if name not in columns]:
            raise ValueError(f"no column {unknown[0]!r} among {list(columns)}")
        return [row.get(name) for name in columns]
    if len(row) != len(columns):
        raise ValueError(f"{len(row)} values for {len(columns)} columns: {row!r}")
    return list(row)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if _is_number(value) else str(value)


def _align(right: bool) -> str:
    side = "right" if right else "left"
    return f"style='text-align:{side};vertical-align:top'"


def _line(row: list[str], widths: list[int], right: list[bool]) -> str:
    cells = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(row, widths, right, strict=True)
    )
    return "  ".join(cells).rstrip()
