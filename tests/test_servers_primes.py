"""helpers.servers.primes"""

import pytest

from helpers.servers.primes import count_primes


@pytest.mark.parametrize(
    ("below", "primes"),
    [(-1, 0), (0, 0), (2, 0), (3, 1), (10, 4), (25, 9), (100, 25), (1000, 168)],
)
def test_it_counts_primes(below, primes):
    """The known values of the prime-counting function; 25 is no prime, 2 is."""
    assert count_primes(below) == primes
