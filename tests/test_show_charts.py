"""helpers.show.charts and helpers.show.canvas."""

import io
import re
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from helpers.show import charts
from helpers.show.canvas import COLOURS

WORDS = {"title": "A finding", "alt": "What it shows."}
XY = ([1, 10, 100], [5.0, 2.0, 9.0])

DRAW = {
    "bars": lambda **kw: charts.bars({"a": 1, "b": 2.5}, **{"unit": "s"} | kw),
    "stacked": lambda **kw: charts.stacked(
        {"try 1": {"useful": 1, "wasted": 3}}, **{"unit": "MB"} | kw
    ),
    "lines": lambda **kw: charts.lines(
        {"measured": XY}, models={"law": XY}, **{"x": "n", "y": "time, s"} | kw
    ),
    "cdf": lambda **kw: charts.cdf({"a": [0.1, 0.2, 0.3]}, **kw),
    "spans": lambda **kw: charts.spans(
        [("a", 0, 1, "waits"), ("a", 1.5, None, "killed")], **{"unit": "s"} | kw
    ),
    "steps": lambda **kw: charts.steps(
        ([0, 1], [1, 2]), ([0, 2], [1, 2]), **{"x": "t, s", "y": "n"} | kw
    ),
}
every_chart = pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)


@every_chart
def test_a_chart_is_a_picture_with_its_words(draw):
    """A PNG in the page, beside a text that needs no eyes."""
    chart = draw(**WORDS)
    assert Image.open(io.BytesIO(chart.png)).format == "PNG"
    assert "alt='A finding. What it shows.'" in chart.html()
    assert "A finding (measured here)\nWhat it shows." in chart.text()


@every_chart
@pytest.mark.parametrize("missing", ["title", "alt"])
def test_no_chart_without_title_and_alternative(draw, missing):
    """What is missing or empty is a TypeError that names it."""
    with pytest.raises(TypeError, match=missing):
        draw(**{k: v for k, v in WORDS.items() if k != missing})
    with pytest.raises(TypeError, match=missing):
        draw(**WORDS | {missing: " "})


@pytest.mark.parametrize(
    ("name", "text"),
    [("bars", "unit"), ("stacked", "unit"), ("spans", "unit"), ("lines", "y")],
)
def test_no_axis_without_a_unit(name, text):
    """An empty unit is as bad as none."""
    with pytest.raises(TypeError, match=text):
        DRAW[name](**WORDS, **{text: ""})


@every_chart
def test_no_chart_with_a_dishonest_label(draw):
    """The label is one of the three, or nothing is drawn."""
    with pytest.raises(ValueError, match="where the figures are from"):
        draw(**WORDS, label="trust me")


@every_chart
def test_stored_pictures_are_small(draw):
    """A notebook stores many of them."""
    assert len(draw(**WORDS).png) < 60_000


def test_markup_in_names_stays_text():
    """Names and titles may come from anywhere."""
    chart = charts.bars({"<b>x</b>": 1}, unit="s", title="<i>t</i>", alt="'a' <u>")
    assert not re.search("<[biu]>", chart.html())


def count_pixels(chart, colour):
    rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    pixels = np.asarray(Image.open(io.BytesIO(chart.png)).convert("RGB"), dtype=int)
    return int((abs(pixels - rgb).max(axis=2) <= 24).sum())


@pytest.mark.parametrize("as_guess", [lambda v: v, lambda v: {"b": v}])
def test_a_guess_is_marked_beside_the_measurement(as_guess):
    """A number, or a guess per bar, adds a mark in the colour of guesses."""
    with_guess = DRAW["bars"](**WORDS, guess=as_guess(2.0))
    without = DRAW["bars"](**WORDS)
    orange = "#d55e00"
    assert count_pixels(with_guess, orange) > count_pixels(without, orange)


def test_no_guess_is_no_mark():
    """What ``predict`` returns before the learner answered draws nothing."""

    class Unanswered:
        value = None

    assert DRAW["bars"](**WORDS, guess=Unanswered()).png == DRAW["bars"](**WORDS).png


def test_results_and_arrays_of_seconds_draw_the_same_cdf():
    """cdf takes a result's latencies, and shows them in the unit asked for."""

    class Result:
        latencies = np.array([0.001, 0.002, 0.003])

    one = charts.cdf({"a": Result()}, **WORDS)
    other = charts.cdf({"a": [0.003, 0.001, 0.002]}, **WORDS)
    assert one.png == other.png
    assert one.facts["a"] == "p50 2 ms, p99 3 ms"


def test_a_cdf_of_nothing_is_refused():
    """A series without samples is named."""
    with pytest.raises(ValueError, match="'empty' has no samples"):
        charts.cdf({"empty": []}, **WORDS)


def test_steps_tell_how_long_the_observer_was_out_of_date():
    """The value changed at 1, was seen at 2, of 4 seconds watched: a quarter."""
    chart = charts.steps(
        ([0, 1, 4], [5, 6, 6]), ([0, 2], [5, 6]), x="t, s", y="n", **WORDS
    )
    assert chart.facts["out of date"] == "25 % of the time"


def test_unknown_axis_scales_are_refused():
    """log="z" names what is allowed."""
    with pytest.raises(ValueError, match="log is"):
        DRAW["lines"](**WORDS, log="z")


def test_threads_may_draw_at_once():
    """Experiments draw on threads of their own; the pictures come out the same."""
    pictures = [None] * 4

    def work(i):
        pictures[i] = DRAW["lines"](**WORDS, log="x", lowest="measured").png

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pictures[0] is not None and len(set(pictures)) == 1


def test_a_failed_drawing_does_not_block_the_next():
    """An error while drawing releases the pen."""
    with pytest.raises(KeyError):
        DRAW["lines"](**WORDS, lowest="no such series")
    done = threading.Thread(target=lambda: DRAW["bars"](**WORDS), daemon=True)
    done.start()
    done.join(30)
    assert not done.is_alive()


def test_colours_differ_in_brightness():
    """The first three are told apart even in grey."""
    grey = [
        0.3 * int(c[1:3], 16) + 0.59 * int(c[3:5], 16) + 0.11 * int(c[5:7], 16)
        for c in COLOURS[:3]
    ]
    assert all(abs(a - b) > 15 for a, b in pairwise(grey))


def test_import_waits_for_matplotlib_until_something_is_drawn():
    """A page that only shows ladders does not pay for charts."""
    code = (
        "import sys, helpers.show.charts, helpers.show.ladder, helpers.show.tables;"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
