"""claim: what the lesson says, checked where it says it."""

from __future__ import annotations

import textwrap
from typing import Any

__all__ = ["Verdict", "claim"]

BUSY = (
    "a machine that is busy with something else can do this. Close what else runs, "
    "and run the cell again"
)


class Verdict:
    """True or false, but silent as the last line of a cell."""

    def __init__(self, holds: bool) -> None:
        self.holds = holds

    def __bool__(self) -> bool:
        return self.holds

    def __repr__(self) -> str:
        return f"Verdict({self.holds})"

    def _ipython_display_(self) -> None:
        """Nothing: claim() has printed its line."""


def claim(text: str, holds: bool, measured: Any = None, because: str = "") -> Verdict:
    """Print ``✔ text`` when it holds; when not, say what was measured and why.

    The line with ✔ is compared in CI, so keep ``text`` the same in every run: bounds
    may stand in it, measurements go to ``measured``. ``because`` says why the claim
    can fail; without it a busy machine is named. A claim that does not hold raises
    nothing, so that the notebook runs on.

    Raises TypeError when ``holds`` is neither true nor false.
    """
    if not _is_bool(holds):
        raise TypeError(
            f"holds must be True or False, not {type(holds).__name__}: write a "
            "comparison such as p99 < 0.1, put .all() or .any() behind one of arrays, "
            "and await what is async"
        )
    if holds:
        print(f"✔ {text}")
    else:
        print(f"✘ {text}\n{_explanation(measured, because)}")
    return Verdict(bool(holds))


def _is_bool(value: object) -> bool:
    """Also numpy's, which comparisons of its numbers give."""
    dtype = getattr(value, "dtype", None)
    return isinstance(value, bool) or (
        dtype is not None and dtype.kind == "b" and getattr(value, "ndim", 1) == 0
    )


def _explanation(measured: Any, because: str) -> str:
    why = (because or BUSY).rstrip(".")
    text = f"Why that can be: {why}."
    if measured is not None:
        text = f"Measured here: {_shown(measured)}. {text}"
    return textwrap.fill(text, 80, initial_indent="  ", subsequent_indent="  ")


def _shown(measured: Any) -> str:
    return f"{measured:.4g}" if isinstance(measured, float) else str(measured)
