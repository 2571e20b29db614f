"""How far behind the truth an observer was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["delays"]


def delays(
    history: Sequence[tuple[float, int]], seen: Sequence[tuple[float, int]]
) -> np.ndarray:
    """Seconds from each change of a counter until it was first seen.

    ``history`` are (time, value) when the counter took a value, ``seen`` when an
    observer read one, both by the same clock. A value that was skipped counts as seen
    when a later one was; changes before the first look, and those that were never
    seen, are left out.
    """
    times = np.array([time for time, _ in seen])
    highest = np.maximum.accumulate([value for _, value in seen])
    waits = []
    for changed, value in history:
        at = int(np.searchsorted(highest, value))
        if times[0] < changed and at < len(times):
            waits.append(times[at] - changed)
    return np.array(waits)
