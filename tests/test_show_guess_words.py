"""helpers.show.guess_words"""

import pytest

from helpers.show.guess_words import guessed


class Guess:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize("guess", [42.0, Guess(42.0)])
def test_a_guess_is_told(guess):
    """A number, or what predict returned."""
    assert guessed(guess, "ms") == " (you guessed 42 ms)"


@pytest.mark.parametrize("guess", [None, Guess(None)])
def test_no_guess_is_not_told(guess):
    """Without one the title is as it was."""
    assert guessed(guess, "ms") == ""
