"""Backoff: how long a client waits before it tries again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Backoff"]


@dataclass(frozen=True)
class Backoff:
    """Wait ``base * factor ** n`` seconds before try n (from 0), ``cap`` at most.

    With ``jitter`` that is the most, and the wait is anything from 0 to it: "full
    jitter" in Marc Brooker's "Exponential Backoff And Jitter" (AWS, 2015).

    Raises ValueError when the waits would not grow, or take no time.
    """

    base: float = 0.1
    factor: float = 2.0
    cap: float = 1.0
    jitter: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.base <= self.cap and self.factor >= 1):
            raise ValueError("0 < base <= cap, and factor is at least 1")

    @classmethod
    def fixed(cls, pause: float) -> Backoff:
        """The same pause before each try."""
        return cls(base=pause, factor=1.0, cap=pause, jitter=False)

    def waits(self, tries: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Seconds to wait after so many failed ``tries``, for each client."""
        # Beyond 2^60 of anything the cap has long been reached; it must not overflow.
        longest = self.base * self.factor ** np.minimum(tries, 60)
        longest = np.minimum(longest, self.cap)
        return longest * rng.random(len(longest)) if self.jitter else longest

    def wait(self, tries: int, rng: np.random.Generator) -> float:
        """Seconds to wait after so many failed ``tries``."""
        return float(self.waits(np.array([tries]), rng)[0])
