"""helpers.measure.staleness"""

import pytest

from helpers.measure.staleness import delays

HISTORY = [(0.0, 0), (1.0, 1), (2.0, 2), (2.5, 3), (9.0, 4)]


def test_each_change_waits_for_the_first_look_that_shows_it():
    """From the change to the first answer with that value or a later one."""
    seen = [(0.5, 0), (1.5, 1), (3.0, 3), (4.0, 3)]
    assert delays(HISTORY, seen) == pytest.approx([0.5, 1.0, 0.5])


def test_what_came_before_the_first_look_does_not_count():
    """Nobody was late for what they did not watch."""
    assert delays(HISTORY, [(2.2, 2), (2.6, 3)]) == pytest.approx([0.1])


def test_what_was_never_seen_does_not_count():
    """A change after the last answer has no delay yet."""
    assert len(delays(HISTORY, [(0.0, 0), (0.5, 0)])) == 0
