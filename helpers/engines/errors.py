"""What goes wrong with an engine.

Exception
 └── EngineError
      ├── EngineMissing   not on this machine: one line says how to get it
      └── EngineFailed    did not start, or died: the end of its log says why
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["EngineError", "EngineFailed", "EngineMissing", "describe"]

SHOWN_LINES = 15
SHOWN_WIDTH = 200  # characters of a line


class EngineError(Exception):
    """What goes wrong with an engine."""


class EngineMissing(EngineError):
    """It is not on this machine; the message says in one line how to get it."""


class EngineFailed(EngineError):
    """It did not start, or died; the message ends with the end of its log."""


def describe(name: str, how: str, log: Iterable[str]) -> str:
    """One line, and the last lines of a log below it."""
    lines = [line[:SHOWN_WIDTH] for line in [*log][-SHOWN_LINES:]]
    return "\n  ".join([f"{name} {how}" + (". Its log ends:" if lines else ""), *lines])
