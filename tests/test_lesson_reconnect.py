"""helpers.lesson.reconnect: a real crowd, small enough for a busy machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import psutil
import pytest

from helpers.lesson.backoff import Backoff
from helpers.lesson.reconnect import storm
from helpers.lesson.reconnect_model import simulate
from helpers.lesson.storm import Restart, Storm, mismatch
from helpers.measure.connections import NoDescriptors

SMALL = Restart(clients=300, rate=200.0, backlog=30, patience=0.5, down=0.5)
JITTER = Backoff(cap=0.5)
TOGETHER = Backoff(cap=0.5, jitter=False)


@pytest.fixture(scope="module")
def seen() -> Storm:
    return storm(JITTER, SMALL)


def test_all_come_back(seen):
    """Each try ended in one way, and no moment is before the server was there."""
    assert seen.back == seen.clients == 300
    assert seen.tries.sum() == seen.back + seen.failures.total()
    assert seen.accepted.min() >= 0 and np.all(np.diff(seen.accepted) >= 0)
    assert seen.label == "measured here"


def test_it_refuses_while_it_is_away_and_times_out_when_it_is_full(seen):
    """With waits of at most 0.1 s before the first try all meet a closed port."""
    assert seen.failures["refused"] >= 200
    assert seen.failures["timed out"] > 0
    assert seen.begin == -0.5 and seen.tries[:5].sum() >= 200


def test_no_more_come_in_than_the_server_lets_in(seen):
    """At most its rate; who waited in the queue comes one after the other, too."""
    assert seen.all_back > 0.8 * SMALL.clients / SMALL.rate
    assert seen.rate < 2 * SMALL.rate


def test_together_they_take_longer(seen):
    """They come in waves, each larger than the queue, and the server idles between."""
    assert storm(TOGETHER, SMALL).all_back > seen.all_back


def test_the_model_is_nearer_than_one_of_another_server(seen):
    """It knows nothing of this storm but how fast the server and the crowd were."""
    measured = replace(SMALL, rate=seen.rate)
    fits = simulate(JITTER, measured, spread=0)
    slower = simulate(JITTER, replace(measured, rate=seen.rate / 4), spread=0)
    assert mismatch(seen, fits) < mismatch(seen, slower)


def test_the_clock_stops():
    """And who is out then is left out; its processes are gone."""
    before = set(psutil.Process().children())
    seen = storm(JITTER, replace(SMALL, rate=1.0), limit=0.5)
    assert seen.back < seen.clients
    assert set(psutil.Process().children()) <= before


def test_a_crowd_too_large_for_the_machine_is_refused():
    """At once, with what to do about it."""
    with pytest.raises(NoDescriptors, match="ulimit"):
        storm(JITTER, replace(SMALL, clients=2_000_000_000))
