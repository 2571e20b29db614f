"""Work that keeps a processor busy: no waiting, nothing but counting."""

from __future__ import annotations

__all__ = ["count_primes"]


def count_primes(below: int) -> int:
    """How many primes there are below a number, by trial division.

    There are faster ways, and a sieve is one; this one is here to take its time.
    """
    return sum(_is_prime(number) for number in range(2, below))


def _is_prime(number: int) -> bool:
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 1
    return True
