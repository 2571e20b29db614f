"""helpers.measure.units"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.measure.units import number, seconds, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (3e-10, "0.3 ns"),
        (5.8e-6, "5.8 µs"),
        (0.0123, "12.3 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1 s"),
        (1.244, "1.24 s"),
        (90, "90 s"),
        (150, "2.5 min"),
        (100_000, "27.8 h"),
        (-0.002, "-2 ms"),
        (math.nan, "n/a"),
    ],
)
def test_seconds(value, text):
    """A duration reads in three digits of the unit that fits."""
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (20_000_000, "20 MB"),
        (10**9 - 1, "1 GB"),
        (5 * 10**12, "5 TB"),
        (math.nan, "n/a"),
    ],
)
def test_size(value, text):
    """A number of bytes reads in units of 1,000."""
    assert size(value) == text


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_number_keeps_three_digits(value):
    """No number loses more than its fourth digit, and none needs an exponent."""
    text = number(value)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.0051)


def test_number_of_what_is_not_finite():
    """nan and infinity have a text too."""
    assert [number(math.nan), number(math.inf)] == ["n/a", "inf"]
