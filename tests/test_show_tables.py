"""helpers.show.tables and helpers.show.display."""

import pytest

from helpers.show.display import check_label, extrapolated, printable
from helpers.show.tables import table

ROWS = [
    {"way": "new", "time, s": 0.82134, "requests": 12345},
    {"way": "kept", "time, s": None, "requests": 1},
]


def test_numbers_stand_to_the_right():
    """Digits line up in the page and in the text."""
    shown = table(ROWS, caption="cost")
    assert shown.html().count("text-align:right") >= 3
    lines = shown.text().split("\n")
    assert lines[-2].endswith("12,345") and lines[-1].endswith("     1")
    assert len(lines[-2]) == len(lines[-1])


def test_rows_are_headed_for_screen_readers():
    """A caption, column heads and row heads, each in its own element."""
    html = table(ROWS, caption="cost").html()
    assert "<caption" in html
    assert html.count("scope='col'") == 3 and html.count("scope='row'") == 2


def test_values_are_rounded_to_what_they_are_worth():
    """Three digits; nothing where there is no value."""
    text = table(ROWS, caption="cost").text()
    assert "0.821" in text and "0.8213" not in text and "–" in text


def test_markup_in_values_stays_text():
    """A value from the network can not add to the page."""
    html = table([["<b>x</b>", "<i>y</i>"]], ["a", "b"], caption="<u>c</u>").html()
    assert "<b>" not in html and "<i>" not in html and "<u>" not in html


@pytest.mark.parametrize(
    ("rows", "columns", "named"),
    [
        ([["a", 1, 2]], ["x", "y"], "3 values for 2 columns"),
        ([{"x": 1, "z": 2}], ["x", "y"], "no column 'z'"),
        ([["a"]], None, "columns="),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, columns, named):
    """The message names the row or column that is wrong."""
    with pytest.raises(ValueError, match=named):
        table(rows, columns, caption="cost")


def test_labels_say_where_figures_are_from():
    """Only the three honest labels pass."""
    for label in (
        "measured here",
        "reference machine",
        extrapolated(10_000, "clients"),
    ):
        assert check_label(label) == label
    for label in ("", "measured", "extrapolated from", "made up"):
        with pytest.raises(ValueError, match="where the figures are from"):
            check_label(label)


def test_invisible_characters_are_spelled_out():
    """Escape sequences and direction marks can not disturb a terminal or a page."""
    assert printable("a\x1b[1m\u202eé\n") == "a\\x1b[1m\\u202eé\\x0a"
