"""helpers/network/conditions.py: the arithmetic of a link, without any socket."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.network.conditions import (
    CutSchedule,
    Lane,
    Setting,
    chance,
    duration,
    quantity,
    rate,
)


class Line:
    delay = Setting(0.25, duration)

    def __init__(self) -> None:
        self.changes = 0

    def settings_changed(self) -> None:
        self.changes += 1


def test_a_setting_has_a_default_a_check_and_tells_of_changes():
    """A refused value changes nothing and tells nobody."""
    line = Line()
    assert line.delay == 0.25
    line.delay = 1
    with pytest.raises(ValueError, match="delay is in seconds, zero or more; not -1"):
        line.delay = -1
    assert (line.delay, line.changes) == (1.0, 1)
    assert Line().delay == 0.25


@pytest.mark.parametrize("check", [duration, rate, quantity, chance])
@pytest.mark.parametrize("value", ["1", True, math.nan, -1, 1j, [1]])
def test_what_is_no_such_number_is_refused(check, value):
    """The error names the setting and shows the value."""
    with pytest.raises(ValueError, match=r"^speed is .*not "):
        check("speed", value)


def test_numbers_of_all_kinds_are_taken():
    """numpy's too; bytes may be written as 1e6; endless is no cut."""
    assert duration("x", numpy.float32(0.5)) == 0.5
    assert quantity("x", 1e6) == 1_000_000
    assert quantity("x", math.inf) is None
    assert rate("x", None) is None
    assert chance("x", 1) == 1.0


def test_a_lane_without_bandwidth_only_delays():
    """Nothing queues."""
    lane = Lane()
    assert lane.arrival(10.0, 10**9, latency=0.5, bandwidth=None) == 10.5
    assert lane.arrival(10.0, 10**9, latency=0.5, bandwidth=None) == 10.5


def test_a_lane_with_bandwidth_queues():
    """The second 100 bytes leave when the first are gone; an idle lane is free."""
    lane = Lane()
    assert lane.arrival(0.0, 100, latency=1.0, bandwidth=100.0) == 2.0
    assert lane.arrival(0.0, 100, latency=1.0, bandwidth=100.0) == 3.0
    assert lane.arrival(50.0, 100, latency=1.0, bandwidth=100.0) == 52.0


def cuts(schedule: CutSchedule, chunks: list[int]) -> list[int]:
    """The positions of all cuts in this traffic; what a cut loses is sent again."""
    positions = []
    for chunk in chunks:
        while chunk:
            crossed = schedule.before_cut(chunk)
            if crossed is None:
                break
            positions.append(schedule.crossed)
            chunk -= crossed
    return positions


@given(st.lists(st.integers(0, 5_000), max_size=50), st.integers(0, 99))
def test_cuts_lie_at_the_same_bytes_whatever_the_chunks(chunks, seed):
    """The schedule depends on the seed, and on nothing else."""
    chunked, whole = CutSchedule(700, seed), CutSchedule(700, seed)
    assert cuts(chunked, chunks) == cuts(whole, [sum(chunks)])
    assert chunked.crossed == whole.crossed == sum(chunks)


def test_gaps_between_cuts_are_exponential():
    """Mean and standard deviation are both ``every``, as of a Poisson process."""
    positions = cuts(CutSchedule(1_000, seed=0), [5_000_000])
    gaps = numpy.diff([0, *positions])
    assert gaps.min() >= 1
    assert gaps.mean() == pytest.approx(1_000, rel=0.1)
    assert gaps.std() == pytest.approx(1_000, rel=0.1)


def test_without_a_rate_nothing_is_cut():
    """And the bytes are counted all the same."""
    schedule = CutSchedule(None, seed=0)
    assert schedule.before_cut(10**12) is None
    assert schedule.crossed == 10**12
