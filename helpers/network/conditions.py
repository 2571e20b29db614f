"""How a link treats what crosses it: the arithmetic, without any socket.

Every chance is drawn from a seed, and apart for each direction, so that a run
with the same traffic meets the same faults.
"""

from __future__ import annotations

import math
import numbers
import random
from collections.abc import Callable
from typing import Any

__all__ = ["CutSchedule", "Lane", "Setting", "chance", "duration", "quantity", "rate"]


class Setting:
    """An attribute that is checked when it is set, and may change at any time.

    Its owner's ``settings_changed()`` is called after each change.
    """

    def __init__(self, default: Any, check: Callable[[str, Any], Any]) -> None:
        self._default = default
        self._check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return instance.__dict__.get(self._name, self._default)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = self._check(self._name, value)
        instance.settings_changed()


def duration(name: str, value: float) -> float:
    """Seconds, zero or more."""
    if not (_is_number(value) and value >= 0):
        raise ValueError(f"{name} is in seconds, zero or more; not {value!r}")
    return float(value)


def rate(name: str, value: float | None) -> float | None:
    """A number above zero, or None for 'no such limit'."""
    if value is not None and not (_is_number(value) and value > 0):
        raise ValueError(f"{name} is above zero, or None for no limit; not {value!r}")
    return value


def quantity(name: str, value: float | None) -> int | None:
    """A number of bytes, one or more, or None for 'never'."""
    if value is None or value == math.inf:
        return None
    if not (_is_number(value) and value >= 1):
        raise ValueError(f"{name} is in bytes, 1 or more, or None; not {value!r}")
    return int(value)  # 1e6 is a handy way to write a million


def chance(name: str, value: float) -> float:
    """A probability."""
    if not (_is_number(value) and 0 <= value <= 1):
        raise ValueError(f"{name} is a probability from 0 to 1; not {value!r}")
    return float(value)


def _is_number(value: object) -> bool:
    """A real number, of numpy too; True is one to Python, and is not to us."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


class Lane:
    """One direction of a link: when does what is sent now arrive?

    A sender that is faster than ``bandwidth`` (bytes per second) queues; then
    everything takes ``latency`` (seconds). All connections share the lane.
    """

    def __init__(self) -> None:
        self._free_at = 0.0

    def arrival(
        self, now: float, size: int, *, latency: float, bandwidth: float | None
    ) -> float:
        """When the last of ``size`` bytes arrives that start to leave at ``now``."""
        gone = now
        if bandwidth is not None:
            gone = self._free_at = max(now, self._free_at) + size / bandwidth
        return gone + latency


class CutSchedule:
    """At which byte the line breaks next, counted over all that crosses a link.

    Random cuts that are as likely at any byte as at any other: the gaps between
    them are exponential with mean ``every`` bytes (a Poisson process). The same
    seed gives the same cuts, whatever the traffic.
    """

    def __init__(self, every: float | None, seed: int) -> None:
        self._every = every
        self._chances = random.Random(f"{seed}: cuts")
        self.crossed = 0
        self._next = self._draw()

    def _draw(self) -> float:
        if self._every is None:
            return math.inf
        gap = max(1, round(self._chances.expovariate(1 / self._every)))
        return self.crossed + gap

    def before_cut(self, size: int) -> int | None:
        """How many of the next ``size`` bytes still cross; None: all, no cut.

        Counts them as crossed, and draws the next cut after one.
        """
        left = self._next - self.crossed
        if size < left:
            self.crossed += size
            return None
        self.crossed += int(left)
        self._next = self._draw()
        return int(left)
