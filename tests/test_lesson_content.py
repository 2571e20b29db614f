"""helpers.lesson.content"""

import string

import pytest

from helpers.lesson import ledger
from helpers.lesson.content import FOLDER, content
from helpers.lesson.quiz import Question

NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.toml"))


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_quiz_is_sound(notebook):
    """Three to five questions, each with feedback on every answer."""
    questions = [Question(**each) for each in content(notebook)["quiz"]]
    assert 3 <= len(questions) <= 5


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_figure_in_a_table_of_costs_ends_in_its_unit(notebook):
    """As ledger.note wants it, or the cell could not have recorded it."""
    for row in content(notebook)["cost"]:
        assert set(row) == {"choice", "gained", "cost"}
        for _, key, _, _ in string.Formatter().parse(row["gained"] + row["cost"]):
            assert key is None or key.rpartition("_")[2] in ledger.UNITS


def test_a_notebook_without_content_is_refused():
    """The error names what there is."""
    with pytest.raises(ValueError, match="there is 01"):
        content("99")
