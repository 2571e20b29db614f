"""The learner's guess in a chart, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from helpers.measure.units import number
from helpers.show.canvas import GUESS, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mark_at_bars", "mark_on_y"]


def _value_of(guess: Any) -> float | None:
    """A guess is a number, None, or an object with ``value``."""
    value = getattr(guess, "value", guess)
    return float(value) if isinstance(value, Real) else None


def mark_at_bars(axes: Axes, guess: Any, names: list[str]) -> None:
    if isinstance(guess, Mapping):
        for name, one in guess.items():
            if (value := _value_of(one)) is not None:
                row = names.index(name)
                axes.plot([value] * 2, [row - 0.42, row + 0.42], color=GUESS, lw=3)
                axes.annotate(
                    f"guess {number(value)}",
                    (value, row - 0.42),
                    fontsize=SMALL,
                    color=GUESS,
                )
        return
    if (value := _value_of(guess)) is not None:
        axes.axvline(value, color=GUESS, linestyle=(0, (4, 2)), linewidth=2)
        _write(axes, f" your guess: {number(value)}", (value, 1), "x")


def mark_on_y(axes: Axes, guess: Any) -> None:
    if (value := _value_of(guess)) is not None:
        axes.axhline(value, color=GUESS, linestyle=(0, (4, 2)), linewidth=2)
        _write(axes, f"your guess: {number(value)}", (0.01, value), "y")


def _write(axes: Axes, text: str, spot: tuple[float, float], along: str) -> None:
    across = axes.get_xaxis_transform() if along == "x" else axes.get_yaxis_transform()
    axes.annotate(
        text, spot, xycoords=across, color=GUESS, fontsize=SMALL, va="bottom", zorder=5
    )
