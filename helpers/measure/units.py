"""Seconds, bytes and plain numbers as a person reads them: three digits, a unit.

>>> seconds(0.0123)
'12.3 ms'
>>> size(20_000_000)
'20 MB'
"""

from __future__ import annotations

import math

__all__ = ["number", "seconds", "size"]

NOT_A_NUMBER = "n/a"
# What rounds to 1 of a unit is shown in that unit: 999.9 ms is 1 s.
ALMOST_ONE = 0.9995

# Minutes, hours and days come late: 90 s reads better than 1.5 min.
TIMES = [
    (2 * 86_400, 86_400, "days"),
    (2 * 3_600, 3_600, "h"),
    (120, 60, "min"),
    (1, 1, "s"),
    (1e-3, 1e-3, "ms"),
    (1e-6, 1e-6, "µs"),
    (0, 1e-9, "ns"),
]
# Decimal, as networks count and as the lessons do: a kB is 1,000 bytes.
SIZES = [
    (10**12, 10**12, "TB"),
    (10**9, 10**9, "GB"),
    (10**6, 10**6, "MB"),
    (10**3, 10**3, "kB"),
    (0, 1, "B"),
]


def seconds(value: float) -> str:
    """A duration in seconds, for example ``12.3 ms``; ``n/a`` for nan."""
    return _scaled(value, TIMES) if value else "0 s"


def size(value: float) -> str:
    """A number of bytes, for example ``20 MB``; ``n/a`` for nan."""
    return _scaled(value, SIZES)


def number(value: float) -> str:
    """A number in three digits, more when it is whole: ``18.3``, ``12,345``."""
    if math.isnan(value):
        return NOT_A_NUMBER
    if math.isinf(value) or value == 0:
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(value: float, units: list[tuple[float, float, str]]) -> str:
    if math.isnan(value):
        return NOT_A_NUMBER
    for least, scale, unit in units:
        if abs(value) >= least * ALMOST_ONE:
            return f"{number(value / scale)} {unit}"
    raise AssertionError("the last unit takes every value")
