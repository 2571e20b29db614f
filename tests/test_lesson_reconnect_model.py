"""helpers.lesson.reconnect_model"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.lesson.backoff import Backoff
from helpers.lesson.reconnect_model import simulate
from helpers.lesson.storm import MILLION, Restart, Storm

MANY = Restart(clients=20_000, rate=1000.0, backlog=200, patience=1.0, down=1.0)
JITTER = Backoff(base=1.0, cap=8.0)
TOGETHER = Backoff(base=1.0, cap=8.0, jitter=False)


def test_the_same_seed_gives_the_same_storm():
    """And another seed another one."""
    one, same = simulate(JITTER, MANY), simulate(JITTER, MANY)
    assert np.array_equal(one.accepted, same.accepted)
    assert np.array_equal(one.tries, same.tries)
    assert not np.array_equal(one.accepted, simulate(JITTER, MANY, seed=2).accepted)


@given(
    st.builds(
        Restart,
        clients=st.integers(1, 300),
        rate=st.floats(1, 1000),
        backlog=st.integers(1, 100),
        patience=st.floats(0.1, 3),
        down=st.floats(0.1, 3),
    ),
    st.booleans(),
    st.floats(0, 1),
    st.floats(10, 1e6),
)
def test_it_breaks_no_law(restart, jitter, spread, pace):
    """Whatever the numbers: nobody comes in twice, early, or faster than the rate."""
    backoff = Backoff(base=0.5, cap=4.0, jitter=jitter)
    seen = simulate(backoff, restart, spread=spread, pace=pace, limit=60)
    assert seen.back <= restart.clients
    assert np.all(seen.accepted >= 0) and np.all(seen.accepted <= 60)
    assert np.all(np.diff(seen.accepted) >= 0.999 / restart.rate)
    assert np.all(seen.tries[seen.moments >= 0] <= pace * seen.step + 1.001)
    if seen.back == restart.clients:
        assert seen.tries.sum() == seen.back + seen.failures.total()


def by_hand(restart: Restart, pause: float) -> list[float]:
    """The same by the book, one client after the other, for a fixed pause."""
    due = [(-restart.down + pause, n) for n in range(restart.clients)]
    queue: list[float] = []  # when each of those that were taken is served
    accepted = []
    while due:
        due.sort()
        at, number = due.pop(0)
        if at < 0:
            due.append((at + pause, number))
            continue
        waiting = sum(served > at for served in queue)
        if waiting >= restart.backlog:
            due.append((at + restart.patience + pause, number))
            continue
        served = max(at, queue[-1] + 1 / restart.rate) if queue else at
        queue.append(served)
        if served - at > restart.patience:
            due.append((at + restart.patience + pause, number))
        else:
            accepted.append(served)
    return sorted(accepted)


@pytest.mark.parametrize("patience", [0.9, 2.3])
def test_it_agrees_with_a_simulation_by_the_book(patience):
    """One that looks at each client and each place in the queue."""
    restart = Restart(clients=40, rate=4.0, backlog=5, patience=patience, down=1.3)
    seen = simulate(Backoff.fixed(0.7), restart, spread=0)
    assert seen.accepted == pytest.approx(by_hand(restart, 0.7))


def test_jitter_keeps_the_server_busy():
    """It needs little more than it must; together they need many times that."""
    least = MANY.clients / MANY.rate
    jittered, together = simulate(JITTER, MANY), simulate(TOGETHER, MANY, limit=600)
    assert least < jittered.all_back < 2 * least
    assert together.all_back > 5 * least


def test_jitter_takes_the_top_off_the_waves():
    """As long as all are out, together all of them come in one step or two."""

    def top(seen: Storm) -> float:
        return seen.tries_per_second[seen.moments > 1].max()

    jittered, together = simulate(JITTER, MANY), simulate(TOGETHER, MANY)
    assert top(together) > 3 * top(jittered)


def test_who_waits_too_long_in_the_queue_wastes_the_servers_time():
    """With a queue longer than the patience, most of those it serves are gone."""
    patient = replace(MANY, backlog=500, patience=1.0)
    wasteful = replace(MANY, backlog=5000, patience=1.0)
    ends = [simulate(JITTER, each, limit=900).all_back for each in (patient, wasteful)]
    assert ends[1] > 1.5 * ends[0]


def test_the_clock_stops():
    """Who is out then is counted as out."""
    seen = simulate(JITTER, MANY, limit=5)
    assert seen.back <= 5 * MANY.rate + 1 < seen.clients
    assert seen.moments[-1] < 5 and seen.all_back == np.inf


def test_a_million_come_back():
    """In a hundred seconds at least, at ten thousand a second."""
    seen = simulate(Backoff(base=1.0, cap=30.0))
    assert seen.back == seen.clients == MILLION.clients
    assert 99 < seen.all_back < 180
    assert seen.label == "simulation"


@pytest.mark.parametrize("wrong", [{"pace": 0}, {"limit": 0}, {"spread": -1}])
def test_what_makes_no_sense_is_refused(wrong):
    """The error names it."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        simulate(JITTER, MANY, **wrong)
