"""The ledger: the learner's figures of the week, guesses, and steps done.

It is one JSON file at the root of the repository, ``ledger.json``, or where the
environment variable WORKBOOK_LEDGER says. Figures of a reference machine stand
beside this module, for the days that a learner has not run yet:

    python -m helpers.lesson.ledger store-reference

makes them from the present ledger.
"""

from __future__ import annotations

import html
import json
import math
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from helpers.lesson.ledger_file import ROOT, VERSION, read, replace, update

__all__ = [
    "Board",
    "Figure",
    "done",
    "figure",
    "guess_of",
    "note",
    "progress_board",
    "recall",
    "record",
    "record_guess",
    "reference",
]

REFERENCE = Path(__file__).with_name("reference.json")

Value = float | int | str | bool

# What the last word of a figure's name says about its unit.
UNITS = {unit: unit for unit in ("s", "ms", "bytes", "kB", "MB", "times")}
UNITS |= {"percent": "%", "rps": "requests/s"}


class Figure(NamedTuple):
    """A value, its unit, and a label that says where it is from."""

    value: Value
    unit: str
    label: str


# -- figures -----------------------------------------------------------------------


def record(
    key: str, value: Value, unit: str = "", label: str = "measured here"
) -> None:
    """Keep a figure under ``key``, over the one that stood there.

    ``label`` is ``measured here`` or ``extrapolated from ...``. numpy's scalars will
    do. Raises ValueError for another label and for nan or infinity, TypeError for a
    value that is no number, text or bool.
    """
    if label != "measured here" and not label.startswith("extrapolated from "):
        raise ValueError(
            f"label {label!r}: say 'measured here', or 'extrapolated from' and what"
        )
    entry = Figure(_plain(value), unit, label)._asdict()
    update(lambda ledger: ledger["figures"].update({key: entry}))


def note(**figures: Value) -> None:
    """Keep several figures, measured here, whose names end in their unit.

    ``note(dns_miss_ms=45.2, keep_alive_times=1.9)``. Raises ValueError for a name
    without a unit, and what :func:`record` raises.
    """
    for key, value in figures.items():
        suffix = key.rpartition("_")[2]
        if suffix not in UNITS:
            raise ValueError(f"{key}: end its name in a unit: _{', _'.join(UNITS)}")
        record(key, value, UNITS[suffix])


def recall(key: str, default: Value | None = None) -> Value | None:
    """The learner's own value under ``key``, or ``default``."""
    own = _figures(read()).get(key)
    return own.value if own else default


def figure(key: str) -> Figure | None:
    """The figure under ``key``: the learner's own, else the reference's, else None."""
    return _figures(read()).get(key) or reference().get(key)


def reference() -> dict[str, Figure]:
    """The figures of the reference machine, labelled so."""
    return _figures(json.loads(REFERENCE.read_text("utf-8")))


def store_reference() -> int:
    """Make the present ledger's figures the reference; returns how many they are."""
    figures = {
        key: own._replace(label=_reference_label(own.label))._asdict()
        for key, own in sorted(_figures(read()).items())
    }
    stored = {"version": VERSION, "machine": _machine(), "figures": figures}
    replace(REFERENCE, stored)
    return len(figures)


def _reference_label(label: str) -> str:
    extrapolated = label.startswith("extrapolated")
    return f"reference machine, {label}" if extrapolated else "reference machine"


def _machine() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def _figures(ledger: dict[str, Any]) -> dict[str, Figure]:
    return {key: Figure(**entry) for key, entry in ledger["figures"].items()}


def _plain(value: Any) -> Value:
    """numpy's scalars as Python's, and nothing that JSON could not keep."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if not isinstance(value, bool | int | float | str):
        raise TypeError(
            f"the ledger keeps numbers, text and bools, not {type(value).__name__}: "
            "record one figure of it"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the ledger keeps finite numbers, not {value}")
    return value


# -- guesses -----------------------------------------------------------------------


def record_guess(question: str, value: float) -> None:
    """Keep the learner's guess, so that the question's cell can be run again."""
    plain = _plain(value)
    update(lambda ledger: ledger["guesses"].update({question: plain}))


def guess_of(question: str) -> float | None:
    """The learner's earlier guess, or None."""
    return read()["guesses"].get(question)


# -- progress ----------------------------------------------------------------------


def done(step: str) -> None:
    """Mark a step as done: ``01`` for a notebook, ``lab1: requirement 3`` for a lab."""
    if not step.strip():
        raise ValueError("a step needs a name, such as '01' or 'lab1: requirement 3'")

    def mark(ledger: dict[str, Any]) -> None:
        if step not in ledger["done"]:
            ledger["done"].append(step)

    update(mark)


@dataclass(frozen=True)
class Board:
    """The notebooks and labs with how far each got; shows itself as a table."""

    rows: list[tuple[str, str]]  # path from the root, state

    def __repr__(self) -> str:
        return "\n".join(f"{Path(path).stem:32} {state}" for path, state in self.rows)

    def _repr_html_(self) -> str:
        # Links start from the notebooks' folder, for there the board is shown.
        rows = "".join(
            f"<tr><td style='text-align:left'><a href='../{html.escape(path)}'>"
            f"{html.escape(Path(path).stem)}</a></td>"
            f"<td style='text-align:left'>{html.escape(state)}</td></tr>"
            for path, state in self.rows
        )
        return f"<table>{rows}</table>"


def progress_board(root: Path = ROOT) -> Board:
    """How far the learner got, notebook by notebook and lab by lab."""
    steps = read()["done"]
    notebooks = [
        path.relative_to(root).as_posix()
        for folder in ("notebooks", "labs")
        for path in sorted((root / folder).glob("*.ipynb"))
    ]
    return Board([(path, _state(path, steps)) for path in notebooks])


def _state(path: str, steps: list[str]) -> str:
    key = Path(path).stem.split("-")[0]
    if key in steps:
        return "✔ done"
    met = sum(step.startswith(f"{key}: ") for step in steps)
    return f"{met} requirement{'s' * (met != 1)} met" if met else "not yet"


def main(arguments: list[str]) -> None:
    if arguments != ["store-reference"]:
        sys.exit("use: python -m helpers.lesson.ledger store-reference")
    print(f"{store_reference()} figures stored in {REFERENCE}")


if __name__ == "__main__":
    main(sys.argv[1:])
