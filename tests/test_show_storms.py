"""helpers.show.storms"""

from collections import Counter

import numpy as np

from helpers.lesson.storm import Storm
from helpers.show.storms import storms


class Guess:
    value = 42.0


def storm(accepted: list[float], clients: int, label: str) -> Storm:
    tries = np.array([3, 0, 2])
    return Storm(clients, -0.1, np.array(accepted), tries, Counter(), label)


def test_storms_tell_how_long_and_how_many():
    """All back after so long, or so many when the clock stopped."""
    seen = {
        "in step": storm([0.05], 3, "measured here"),
        "with jitter": storm([0.05, 0.08, 0.1], 3, "measured here"),
    }
    chart = storms(seen, Guess())
    assert chart.facts["in step"] == "1 of 3 back; 5 tries"
    assert chart.facts["with jitter"] == "all back after 0.1 s; 5 tries"
    assert chart.label == "measured here" and "guessed 42 in step" in chart.title


def test_a_simulation_is_labelled_as_one():
    """In its title and by its label."""
    chart = storms({"in step": storm([0.05], 3, "simulation")})
    assert "3 simulated clients" in chart.title
    assert chart.label == "extrapolated from 2,000 clients, by a model"
