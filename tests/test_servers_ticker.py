"""helpers.servers.ticker"""

import httpx
import pytest

from helpers.servers.ticker import Ticker


def test_it_tells_the_latest_value(wait_until):
    """What it answers is in its history, and grows."""
    with Ticker(every=0.01) as server:
        wait_until(lambda: len(server.history) > 3)
        first = httpx.get(server.make_url("/value")).json()["value"]
        wait_until(lambda: server.history[-1][1] > first)
        second = httpx.get(server.make_url("/value"))
    assert second.json()["value"] > first
    assert second.headers["Cache-Control"] == "no-store"


def test_history_is_in_order(wait_until):
    """Times and values only go up, each value by one."""
    with Ticker(every=0.005, seed=7) as server:
        wait_until(lambda: len(server.history) > 20)
    times, values = zip(*server.history, strict=True)
    assert list(values) == list(range(len(values)))
    assert list(times) == sorted(times)


def test_it_starts_anew_after_a_stop(wait_until):
    """A restart forgets the counter and what it was."""
    server = Ticker(every=0.005)
    with server:
        wait_until(lambda: len(server.history) > 3)
    with server:
        assert server.history[0][1] == 0


@pytest.mark.parametrize("every", [0, -1, float("nan")])
def test_a_pace_that_is_none_is_refused(every):
    """The error names the parameter and its unit."""
    with pytest.raises(ValueError, match="every is in seconds"):
        Ticker(every=every)
