"""helpers.lesson.storm"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from helpers.lesson.storm import CROWD, Restart, Storm, mismatch


def storm(accepted: list[float], clients: int = 4) -> Storm:
    return Storm(
        clients=clients,
        begin=-0.5,
        accepted=np.array(accepted),
        tries=np.array([8, 0, 0, 0, 2, 1, 1, 1]),
        failures=Counter({"timed out": 1, "refused": 8}),
        label="measured here",
    )


def test_rates_are_per_second_and_step():
    """Beside the moments at which the steps begin."""
    seen = storm([0.01, 0.02, 0.11, 0.29])
    assert seen.moments == pytest.approx(np.arange(-0.5, 0.3, 0.1))
    assert list(seen.tries_per_second) == pytest.approx([80, 0, 0, 0, 20, 10, 10, 10])
    assert sum(seen.accepted_per_second) * seen.step == pytest.approx(4)
    assert seen.accepted_per_second[5] == pytest.approx(20)
    assert len(seen.moments) == len(seen.accepted_per_second)


def test_the_rate_leaves_out_both_ends():
    """The first find an idle server, and the last come alone."""
    accepted = [0.0, *np.linspace(1, 2, 9), 9.0]
    assert storm(accepted, clients=11).rate == pytest.approx(8)
    assert math.isnan(storm([0.1]).rate)


def test_the_pace_is_that_of_an_average_try():
    """What matters is how many try when many do."""
    assert storm([0.1]).pace == pytest.approx((8 * 80 + 2 * 20 + 3 * 10) / 13)


def test_all_are_back_or_it_takes_for_ever():
    """Whoever is still out when the clock stops."""
    assert storm([0.1, 0.2, 0.3, 0.4]).all_back == 0.4
    assert storm([0.1, 0.2, 0.3]).all_back == math.inf


def test_it_tells_what_happened():
    """In one line, and where that was seen."""
    assert repr(storm([0.1, 0.2, 0.3, 0.4])) == (
        "<Storm, measured here: 4 of 4 back, the last after 0.4 s; "
        "13 tries (refused 8, timed out 1)>"
    )


def test_mismatch_is_the_largest_difference():
    """In the part that is back, at any moment; either way round."""
    one, other = storm([0.1, 0.2, 0.3, 0.4]), storm([0.1, 0.2, 0.8, 0.9])
    assert mismatch(one, other) == mismatch(other, one) == pytest.approx(0.5)
    assert mismatch(one, one) == 0
    assert mismatch(one, storm([])) == 1
    assert mismatch(storm([]), storm([])) == 0


@pytest.mark.parametrize("name", vars(CROWD))
def test_a_restart_of_nothing_is_refused(name):
    """The error names what it was."""
    with pytest.raises(ValueError, match=f"{name} must be above zero, not 0"):
        Restart(**vars(CROWD) | {name: 0})
