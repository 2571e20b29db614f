"""Restart and Storm: what happens to a crowd, and what is seen of it then."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

__all__ = ["CROWD", "MILLION", "Restart", "Storm", "mismatch"]

STEP = 0.1  # seconds


@dataclass(frozen=True)
class Restart:
    """``clients`` lose their server, which is away for ``down`` seconds.

    Then it lets in ``rate`` clients a second, and ``backlog`` may wait for that. Who
    finds no place there hears nothing. A client gives up a try after ``patience``
    seconds.

    Raises ValueError when one of them is not above zero.
    """

    clients: int
    rate: float
    backlog: int
    patience: float
    down: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be above zero, not {value!r}")


# As many as a laptop and Binder can hold.
CROWD = Restart(clients=2000, rate=1000.0, backlog=128, patience=0.5, down=0.5)
# 4096 is Linux's bound on a backlog (net.core.somaxconn, since 5.4).
MILLION = Restart(
    clients=1_000_000, rate=10_000.0, backlog=4096, patience=1.0, down=1.0
)


@dataclass(frozen=True, eq=False, repr=False)
class Storm:
    """All times are in seconds since the server was there again; before it, below 0.

    ``accepted`` has the moment when each client was in again, in order. ``tries``
    counts tries for each ``step`` from ``begin``. ``failures`` counts those that
    failed, by how: refused (nobody listened), timed out (dropped, or too long in the
    queue), or cut off. ``label`` says where it is from, ``limit`` when the clock would
    have stopped.
    """

    clients: int
    begin: float
    accepted: np.ndarray
    tries: np.ndarray
    failures: Counter[str]
    label: str
    limit: float = math.inf
    step: float = STEP

    @property
    def back(self) -> int:
        """How many were in again when the clock stopped."""
        return len(self.accepted)

    @property
    def all_back(self) -> float:
        """Seconds until the last was in; infinite if one never was."""
        if self.back < self.clients:
            return math.inf
        return float(self.accepted[-1])

    @property
    def moments(self) -> np.ndarray:
        """Where each step begins: what to draw the two rates over."""
        return self.begin + self.step * np.arange(len(self.tries))

    @property
    def tries_per_second(self) -> np.ndarray:
        """For each step."""
        return self.tries / self.step

    @property
    def accepted_per_second(self) -> np.ndarray:
        """For each step."""
        at = ((self.accepted - self.begin) / self.step).astype(int)
        return np.bincount(at, minlength=len(self.tries)) / self.step

    @property
    def pace(self) -> float:
        """Tries a second at the time of a try, on average over all tries.

        When all try at the same time, that is how fast their machine lets them.
        """
        return float((self.tries**2).sum() / max(self.tries.sum(), 1) / self.step)

    @property
    def rate(self) -> float:
        """Clients a second that came in, from the first tenth of them to the last.

        When somebody always waits, that is how fast the server lets them in. nan when
        too few came in.
        """
        first, last = self.back // 10, self.back - self.back // 10 - 1
        if last <= first:
            return math.nan
        return float((last - first) / (self.accepted[last] - self.accepted[first]))

    def __repr__(self) -> str:
        rows = [f"{how} {count:,}" for how, count in sorted(self.failures.items())]
        failed = f" ({', '.join(rows)})" if rows else ""
        return (
            f"<Storm, {self.label}: {self.back:,} of {self.clients:,} back, the last "
            f"after {self.all_back:.1f} s; {self.tries.sum():,} tries{failed}>"
        )


def mismatch(one: Storm, other: Storm) -> float:
    """The largest difference between the two in the part of all clients that is back.

    At whatever moment; 0 is a perfect fit, 1 none (the statistic of Kolmogorov and
    Smirnov).
    """
    moments = np.concatenate([one.accepted, other.accepted])
    if not len(moments):
        return 0.0
    parts = [
        np.searchsorted(storm.accepted, moments, side="right") / storm.clients
        for storm in (one, other)
    ]
    return float(np.abs(parts[0] - parts[1]).max())
