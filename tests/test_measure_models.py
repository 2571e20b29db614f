"""helpers.measure.models"""

import random

import pytest

from helpers.measure.models import (
    expected_attempts,
    expected_bytes,
    expected_throughput,
    expected_upload_time,
)


def simulate(size: float, cut_every: float, runs: int = 20_000) -> tuple[float, float]:
    """Attempts and bytes until one attempt is unbroken, on average over many runs."""
    chances = random.Random(1)
    attempts, crossed = 0, 0.0
    for _ in range(runs):
        while True:
            attempts += 1
            cut = chances.expovariate(1 / cut_every)
            crossed += min(cut, size)
            if cut >= size:
                break
    return attempts / runs, crossed / runs


@pytest.mark.parametrize("size", [1.0, 10.0, 20.0])
def test_a_simulation_agrees(size):
    """What is expected is what a simulation of the same road shows."""
    attempts, crossed = simulate(size, 10)
    assert expected_attempts(size, 10) == pytest.approx(attempts, rel=0.05)
    assert expected_bytes(size, 10) == pytest.approx(crossed, rel=0.05)


def test_a_road_without_cuts_costs_the_bytes_and_one_trip_a_chunk():
    """Without cuts, only bandwidth and round trips count."""
    time = expected_upload_time(
        1000, 100, cut_every=1e12, bandwidth=1000, round_trip=0.1
    )
    assert time == pytest.approx(1000 / 1000 + 10 * 0.1)


def test_a_chunk_larger_than_the_whole_is_the_whole():
    """Nobody sends more than there is."""
    road = {"cut_every": 500, "bandwidth": 1000, "round_trip": 0.1}
    assert expected_upload_time(1000, 5000, **road) == pytest.approx(
        expected_upload_time(1000, 1000, **road)
    )


def test_the_best_chunk_lies_between_the_smallest_and_the_largest():
    """Small chunks pay round trips, large ones break."""
    road = {"cut_every": 7e5, "bandwidth": 8e6, "round_trip": 0.02}
    small, middle, large = (
        expected_upload_time(2e6, chunk, **road) for chunk in (1e4, 2e5, 2e6)
    )
    assert middle < small and middle < large


def test_littles_law_gives_the_rate():
    """The smallest bound decides: 50 threads that wait 0.1 s take 500 a second."""
    assert expected_throughput(0.1, 1000, 50) == pytest.approx(500)
    assert expected_throughput(0.1, 1000, 50, 20) == pytest.approx(200)


@pytest.mark.parametrize("wrong", [(0, 5), (0.1,), (0.1, 0)])
def test_littles_law_needs_a_wait_and_a_bound(wrong):
    """Without them there is no rate to expect."""
    with pytest.raises(ValueError, match="above 0"):
        expected_throughput(*wrong)
