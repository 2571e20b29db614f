"""What theory expects, to stand beside what was measured.

Of an upload over a line that breaks: it breaks at any byte with the same chance, every
``cut_every`` bytes on average. So the bytes between two cuts are exponential, a piece
of ``size`` bytes crosses unbroken with probability exp(-size / cut_every), and the
number of attempts that it takes is geometric.
"""

from __future__ import annotations

import math

__all__ = [
    "expected_attempts",
    "expected_bytes",
    "expected_throughput",
    "expected_upload_time",
]


def expected_attempts(size: float, cut_every: float) -> float:
    """Attempts until ``size`` bytes cross in one piece: 1 / P(unbroken)."""
    return math.exp(size / cut_every)


def expected_bytes(size: float, cut_every: float) -> float:
    """Bytes that cross until one attempt carries all ``size`` bytes.

    With X exponential of mean m, an attempt carries min(X, size) bytes, on average
    m (1 - exp(-size/m)); times the expected attempts (Wald's equation) that is
    m (exp(size/m) - 1).
    """
    return cut_every * math.expm1(size / cut_every)


def expected_upload_time(
    size: float,
    chunk: float,
    *,
    cut_every: float,
    bandwidth: float,
    round_trip: float,
    trips_per_chunk: float = 1,
    trips_per_cut: float = 2,
) -> float:
    """Seconds to carry ``size`` bytes in chunks that count only when whole.

    Each chunk costs ``trips_per_chunk`` round trips and, for each cut that it meets,
    ``trips_per_cut`` more (the handshake, and the question how far it got); its
    bytes cross at ``bandwidth`` bytes per second, some of them in vain.
    """
    chunk = min(chunk, size)
    cuts = expected_attempts(chunk, cut_every) - 1
    each = expected_bytes(chunk, cut_every) / bandwidth
    each += (trips_per_chunk + cuts * trips_per_cut) * round_trip
    return size / chunk * each


def expected_throughput(wait: float, *bounds: float) -> float:
    """Requests a second, when each waits ``wait`` seconds and nothing else costs.

    ``bounds`` say how many can wait at once: clients, threads, connections of a
    pool; the smallest decides. Little's law (J. D. C. Little, Operations Research
    9(3), 1961): the number in a system is the rate times the time spent in it.

    Raises ValueError when ``wait`` or a bound is not above 0.
    """
    if not (wait > 0 and bounds and min(bounds) > 0):
        raise ValueError("wait and every bound must be above 0, and one be given")
    return min(bounds) / wait
