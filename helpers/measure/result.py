"""Result: what a run of load showed."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from helpers.measure.units import number, seconds

__all__ = ["Result", "error_kind"]


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Latencies and errors of one run.

    ``latencies`` are those of the requests that succeeded, in seconds, in the order
    in which their answers came. ``errors`` counts the others by kind. ``elapsed`` is
    the whole run, in seconds.

    Raises ValueError when a latency or ``elapsed`` is negative or not finite, when
    ``latencies`` is not a flat array, or when an error count is below zero.
    """

    latencies: np.ndarray
    errors: Counter[str] = field(default_factory=Counter)
    elapsed: float = 0.0

    def __post_init__(self) -> None:
        latencies = np.array(self.latencies, dtype=float)
        latencies.flags.writeable = False
        object.__setattr__(self, "latencies", latencies)
        object.__setattr__(self, "errors", Counter(self.errors))
        if latencies.ndim != 1:
            raise ValueError(
                f"latencies must be a flat array, this has {latencies.ndim} dimensions"
            )
        for name, values in ("latency", latencies), ("elapsed", self.elapsed):
            if not np.all(np.isfinite(values) & (np.asarray(values) >= 0)):
                raise ValueError(f"{name} must be finite and not negative, in seconds")
        if any(count < 0 for count in self.errors.values()):
            raise ValueError(f"an error count is below zero: {dict(self.errors)}")

    @property
    def succeeded(self) -> int:
        return len(self.latencies)

    @property
    def requests(self) -> int:
        """All requests, those that failed too."""
        return self.succeeded + self.errors.total()

    @property
    def throughput(self) -> float:
        """Requests that succeeded, per second; nan when no time passed."""
        return self.succeeded / self.elapsed if self.elapsed else math.nan

    def percentile(self, q: float) -> float:
        """The latency, in seconds, that ``q`` percent of the answers kept.

        Linear between neighbours, as numpy does by default. nan when nothing
        succeeded. Raises ValueError when ``q`` is not between 0 and 100.
        """
        if not 0 <= q <= 100:
            raise ValueError(f"a percentile lies between 0 and 100, {q} does not")
        return float(np.percentile(self.latencies, q)) if self.succeeded else math.nan

    @property
    def p50(self) -> float:
        """The median latency, in seconds."""
        return self.percentile(50)

    @property
    def p95(self) -> float:
        return self.percentile(95)

    @property
    def p99(self) -> float:
        return self.percentile(99)

    def __repr__(self) -> str:
        text = f"{_count(self.requests, 'request')} in {seconds(self.elapsed)}: "
        if self.succeeded:
            latencies = (f"p{q} {seconds(self.percentile(q))}" for q in (50, 95, 99))
            text += f"{number(self.throughput)}/s, " + ", ".join(latencies)
        else:
            text += "none succeeded"
        return text + self._errors_text()

    def _errors_text(self) -> str:
        if not self.errors.total():
            return ""
        kinds = (f"{count:,} {kind}" for kind, count in self.errors.most_common())
        return f"; {_count(self.errors.total(), 'error')}: " + ", ".join(kinds)


def error_kind(error: BaseException) -> str:
    """``HTTP 503`` for an error that carries a status code, else its class's name.

    aiohttp's errors have ``status``; those of httpx and websockets have a
    ``response`` with ``status_code``.
    """
    response = getattr(error, "response", None)
    status = getattr(error, "status", None) or getattr(response, "status_code", None)
    return f"HTTP {status}" if isinstance(status, int) else type(error).__name__


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
