"""Lab 3a, an SSE client: its two parts, and what its notebook calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.lesson.check import parts
from helpers.lesson.check_report import Report, Solution
from labs.checks.lab3a_client import CLIENT
from labs.checks.lab3a_parser import PARSER

__all__ = ["LABS", "check", "show_solution"]

LABS = parts(PARSER, CLIENT)


def check(work: Any) -> Report:
    """Check the class ``EventStream``, or the function ``listen``."""
    is_parser = isinstance(work, type) or hasattr(work, "feed")
    return (PARSER if is_parser else CLIENT).check(work)


def show_solution() -> Solution:
    """The solution of both parts, folded."""
    return Solution(Path(__file__).parents[1] / "solutions" / Path(__file__).name)
