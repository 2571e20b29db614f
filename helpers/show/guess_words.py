"""The learner's guess in words, for a chart that has no axis to mark it on."""

from __future__ import annotations

from typing import Any

from helpers.measure.units import number

__all__ = ["guessed"]


def guessed(guess: Any, what: str) -> str:
    """For the end of a title: " (you guessed 42 ms)"; empty without a guess."""
    value = getattr(guess, "value", guess)
    return "" if value is None else f" (you guessed {number(value)} {what})"
