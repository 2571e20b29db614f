"""helpers.lesson.claim"""

import numpy as np
import pytest

from helpers.lesson.claim import claim


@pytest.mark.parametrize("holds", [True, np.True_, np.float64(1) < 2])
def test_a_claim_that_holds_prints_its_line_alone(capsys, holds):
    """One line, the same in every run, whatever was measured."""
    assert claim("async was sooner", holds, measured=3.7, because="never shown")
    assert capsys.readouterr().out == "✔ async was sooner\n"


def test_a_claim_that_fails_says_what_was_measured_and_why(capsys):
    """The measurement and the reason stand below, and nothing is raised."""
    assert not claim("async was sooner", np.False_, 0.123456, because="One core.")
    assert capsys.readouterr().out == (
        "✘ async was sooner\n  Measured here: 0.1235. Why that can be: One core.\n"
    )


def test_a_claim_that_fails_without_a_reason_names_a_busy_machine(capsys):
    """Without a measurement or a reason there is still something to try."""
    assert not claim("async was sooner", False)
    out = capsys.readouterr().out
    assert "Measured" not in out
    assert "busy" in out


def test_a_measured_zero_is_shown(capsys):
    """Nothing measured is not the same as a measured nothing."""
    claim("something came", False, measured=0)
    assert "Measured here: 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    "holds", [1, None, "yes", np.array([True, False]), np.int64(1)]
)
def test_what_is_no_bool_is_refused(holds):
    """A number, text or array is a mistake in the cell, and the message helps."""
    with pytest.raises(TypeError, match="must be True or False"):
        claim("x", holds)


def test_a_claim_is_silent_as_the_last_line_of_a_cell():
    """IPython shows nothing for what claim returns."""
    assert claim("x", True)._ipython_display_() is None
