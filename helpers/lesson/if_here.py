"""if_here: an engine where this machine has it, a line and a reference figure else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from helpers.engines.engine import Engine
from helpers.lesson import ledger
from helpers.measure.units import number

__all__ = ["if_here"]

SomeEngine = TypeVar("SomeEngine", bound=Engine)


def if_here(engine: SomeEngine, *figures: str) -> Iterator[SomeEngine]:
    """Start ``engine`` for one turn of a loop, then stop it; no turn if it is missing.

        for node in if_here(Node(script), "node_blocked_ms"):
            ...

    Then one line says how to get it, and what the reference machine saw: ``figures``
    name its entries in the ledger's reference.
    """
    if missing := engine.why_not():
        print(missing)
        there = ledger.reference()
        for name in (name for name in figures if name in there):
            value, unit, label = there[name]
            print(f"{label}: {name.rpartition('_')[0]} {number(value)} {unit}")
        return
    with engine:
        yield engine
