"""helpers.lesson.backoff"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.lesson.backoff import Backoff


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_without_jitter_the_wait_doubles_up_to_the_cap():
    """The same for all."""
    backoff = Backoff(base=0.1, cap=1.0, jitter=False)
    waits = backoff.waits(np.arange(6), rng())
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_a_fixed_pause_stays():
    """It is a backoff that does not back off."""
    waits = Backoff.fixed(0.3).waits(np.arange(5), rng())
    assert waits == pytest.approx([0.3] * 5)


@given(st.integers(0, 10_000), st.integers(0, 1000))
def test_full_jitter_waits_anything_up_to_that(tries, seed):
    """However often it has failed."""
    longest = Backoff(jitter=False).wait(tries, rng())
    assert 0 <= Backoff().wait(tries, np.random.default_rng(seed)) < longest <= 1.0


def test_full_jitter_is_uniform():
    """On average it is half of the wait without."""
    waits = Backoff(base=1.0, cap=1.0).waits(np.zeros(100_000, dtype=int), rng())
    assert waits.mean() == pytest.approx(0.5, abs=0.01)
    assert waits.std() == pytest.approx(12**-0.5, abs=0.01)


@pytest.mark.parametrize("wrong", [{"base": 0}, {"base": 2}, {"factor": 0.5}])
def test_what_does_not_wait_is_refused(wrong):
    """Or would wait less and less."""
    with pytest.raises(ValueError, match="base"):
        Backoff(**wrong)
