"""helpers.measure.result"""

import math
from collections import Counter

import aiohttp
import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.measure.result import Result, error_kind

latencies = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50)


@given(latencies, st.floats(min_value=0, max_value=100))
def test_percentile_agrees_with_numpy(values, q):
    """A percentile is the one that numpy computes."""
    assert Result(np.array(values)).percentile(q) == np.percentile(values, q)


@given(latencies)
def test_percentiles_are_ordered(values):
    """The median is never above the p95, nor that above the p99."""
    result = Result(np.array(values))
    assert min(values) <= result.p50 <= result.p95 <= result.p99 <= max(values)


def test_repr():
    """The repr is one line with counts, throughput, percentiles and errors."""
    errors = Counter({"HTTP 503": 1, "TimeoutError": 2})
    assert repr(Result(np.full(197, 0.0058), errors, 1.244)) == (
        "200 requests in 1.24 s: 158/s, p50 5.8 ms, p95 5.8 ms, p99 5.8 ms; "
        "3 errors: 2 TimeoutError, 1 HTTP 503"
    )


def test_nothing_succeeded():
    """Without a success there is no percentile, and the repr says so."""
    result = Result(np.array([]), Counter(KeyError=1), 0.5)
    assert math.isnan(result.p99)
    assert result.throughput == 0
    assert repr(result) == "1 request in 500 ms: none succeeded; 1 error: 1 KeyError"


def test_nothing_at_all():
    """A run without a request is a result too."""
    assert math.isnan(Result([]).throughput)
    assert repr(Result([])) == "0 requests in 0 s: none succeeded"


def test_latencies_are_a_frozen_copy():
    """Nobody changes a result, not even through the array that it was made of."""
    values = np.array([1.0, 2.0])
    result = Result(values)
    values[0] = 9
    assert list(result.latencies) == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        result.latencies[0] = 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]],), "flat"),
        (([-1.0],), "latency"),
        (([math.nan],), "latency"),
        (([1.0], Counter(), -1.0), "elapsed"),
        (([1.0], Counter(), math.inf), "elapsed"),
        (([1.0], Counter(KeyError=-1)), "below zero"),
    ],
)
def test_impossible_figures_are_refused(arguments, message):
    """What no run can show raises, and the message names it."""
    with pytest.raises(ValueError, match=message):
        Result(*arguments)


@pytest.mark.parametrize("q", [-1, 101, math.nan])
def test_percentile_out_of_range(q):
    """A percentile outside 0 to 100 is refused, also of an empty result."""
    with pytest.raises(ValueError, match="between 0 and 100"):
        Result([]).percentile(q)


def test_error_kind_of_status_errors():
    """The errors that clients raise for a status are named by it."""
    request = httpx.Request("GET", "http://127.0.0.1/")
    response = httpx.Response(503, request=request)
    with pytest.raises(httpx.HTTPStatusError) as raised:
        response.raise_for_status()
    assert error_kind(raised.value) == "HTTP 503"
    refused = aiohttp.ClientResponseError(None, (), status=429)
    assert error_kind(refused) == "HTTP 429"


def test_error_kind_of_others():
    """An error without a status is named by its class."""
    assert error_kind(httpx.ReadTimeout("late")) == "ReadTimeout"
    assert error_kind(TimeoutError()) == "TimeoutError"
