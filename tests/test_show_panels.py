"""helpers.show.panels."""

import io

import pytest
from PIL import Image

from helpers.show import panels

WORDS = {"title": "A finding", "alt": "What it shows."}
FREEZE = panels.Freeze(
    others=[(-20, -18), (0, 300), (310, 312)],
    beats=[(-10, 0.5), (300, 290.0)],
    slow=(0, 300),
)

DRAW = {
    "timelines": lambda **kw: panels.timelines(
        {"one thread": [(0, 0, 100), (0, 100, 200)], "loop": [(0, 1, 101)]},
        **{"waits": "waits", "works": "is served"} | kw,
    ),
    "dots": lambda **kw: panels.dots(
        {"a": {"1 thread": (9.5, 10), "async": (1500, 10_000)}},
        **{"unit": "requests/s", "model": "law"} | kw,
    ),
    "freezes": lambda **kw: panels.freezes({"in the loop": FREEZE}, **kw),
}
every_chart = pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)


@every_chart
def test_a_chart_is_a_picture_with_its_words(draw):
    """A PNG in the page, beside a text that needs no eyes."""
    chart = draw(**WORDS)
    assert Image.open(io.BytesIO(chart.png)).format == "PNG"
    assert "A finding (measured here)\nWhat it shows." in chart.text()
    assert chart.facts
    assert len(chart.png) < 80_000


@every_chart
@pytest.mark.parametrize("missing", ["title", "alt"])
def test_no_chart_without_title_and_alternative(draw, missing):
    """What is missing is a TypeError that names it."""
    with pytest.raises(TypeError, match=missing):
        draw(**{k: v for k, v in WORDS.items() if k != missing}, **{missing: ""})


@every_chart
def test_no_chart_with_a_dishonest_label(draw):
    """The label is one of the three, or nothing is drawn."""
    with pytest.raises(ValueError, match="where the figures are from"):
        draw(**WORDS, label="trust me")


def test_a_timeline_says_when_the_last_was_answered():
    """In words, for each panel."""
    facts = DRAW["timelines"](**WORDS).facts
    assert facts["one thread"] == "all 2 answered after 200 ms"
    assert facts["loop"] == "all 1 answered after 101 ms"


def test_dots_say_what_was_measured_and_what_the_model_expects():
    """Both, so that nobody needs to read them off a logarithmic axis."""
    facts = DRAW["dots"](**WORDS).facts
    assert facts["a, async"] == "1,500 requests/s, law 10,000"


def test_a_freeze_is_told_by_its_longest_wait_and_lag():
    """The worst of the others, and the worst beat."""
    facts = DRAW["freezes"](**WORDS).facts
    assert "others waited 300 ms at worst" in facts["in the loop"]
    assert "290 ms late at worst" in facts["in the loop"]


def test_four_panels_stand_in_two_rows():
    """And an odd number leaves a place empty."""
    both = panels.freezes({"a": FREEZE, "b": FREEZE}, **WORDS)
    odd = panels.freezes(dict.fromkeys("abc", FREEZE), **WORDS)
    height = [Image.open(io.BytesIO(c.png)).height for c in (both, odd)]
    assert height[0] < height[1]
    assert list(odd.facts) == ["a", "b", "c"]
