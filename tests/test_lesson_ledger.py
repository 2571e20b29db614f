"""helpers.lesson.ledger"""

import json

import numpy as np
import pytest

from helpers.lesson import ledger


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_LEDGER", str(tmp_path / "ledger.json"))


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """A reference of its own, with one figure."""
    path = tmp_path / "reference.json"
    entry = {"value": 9.0, "unit": "s", "label": "reference machine"}
    path.write_text(json.dumps({"figures": {"upload_s": entry}}))
    monkeypatch.setattr(ledger, "REFERENCE", path)
    return path


@pytest.mark.parametrize(
    "value", [1.5, 3, "HTTP/2", True, np.float64(1.5), np.int64(3), np.bool_(True)]
)
def test_what_is_recorded_is_recalled(value):
    """Numbers, text and bools come back as they were, numpy's as Python's."""
    ledger.record("key", value)
    assert ledger.recall("key") == value
    assert type(ledger.recall("key")).__module__ == "builtins"


def test_the_last_record_stands():
    """A cell that runs again replaces its figure."""
    ledger.record("key", 1)
    ledger.record("key", 2)
    assert ledger.recall("key") == 2


def test_recall_of_what_was_not_recorded():
    """An unknown key gives the default, and makes no file."""
    assert ledger.recall("key") is None
    assert ledger.recall("key", 7) == 7


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("-inf")])
def test_figures_are_finite(value):
    """nan and infinity are refused."""
    with pytest.raises(ValueError, match="finite"):
        ledger.record("key", value)


@pytest.mark.parametrize("value", [None, [1], np.array([1.0]), np.array(1.0j)])
def test_figures_are_plain(value):
    """What is no single number, text or bool is refused."""
    with pytest.raises(TypeError, match="numbers, text and bools"):
        ledger.record("key", value)


def test_labels_are_honest():
    """A figure was measured here or extrapolated; nobody records a reference."""
    ledger.record("key", 1, label="extrapolated from 1,000 connections")
    with pytest.raises(ValueError, match="measured here"):
        ledger.record("key", 1, label="reference machine")


def test_own_figures_go_before_the_reference(reference):
    """figure() gives the learner's own, else the reference's, else None."""
    assert ledger.figure("upload_s") == (9.0, "s", "reference machine")
    ledger.record("upload_s", 5.0, "s")
    assert ledger.figure("upload_s") == (5.0, "s", "measured here")
    assert ledger.figure("unknown") is None


def test_store_reference(reference):
    """The ledger's figures become the reference, labelled so, without a date."""
    ledger.record("rtt_s", 0.02, "s")
    ledger.record("memory_bytes", 10**9, "B", label="extrapolated from 1,000")
    assert ledger.store_reference() == 2
    assert ledger.reference() == {
        "rtt_s": (0.02, "s", "reference machine"),
        "memory_bytes": (10**9, "B", "reference machine, extrapolated from 1,000"),
    }
    stored = json.loads(reference.read_text())
    assert "cores" in stored["machine"]
    assert set(stored) == {"version", "machine", "figures"}


def test_the_reference_that_is_shipped_is_sound():
    """The stored reference loads, and each of its figures says what it is."""
    for key, figure in ledger.reference().items():
        assert figure.label.startswith("reference machine"), key


def test_guesses_are_kept_by_question():
    """A guess is found again by its question."""
    ledger.record_guess("How many?", 12)
    assert ledger.guess_of("How many?") == 12
    assert ledger.guess_of("How few?") is None


# -- progress ----------------------------------------------------------------------


@pytest.fixture
def workbook(tmp_path):
    """A workbook of two notebooks and a lab."""
    root = tmp_path / "workbook"
    for name in ("notebooks/01-ask", "notebooks/02-wait", "labs/lab1-upload"):
        notebook = root / f"{name}.ipynb"
        notebook.parent.mkdir(parents=True, exist_ok=True)
        notebook.write_text("{}")
    return root


def states(workbook):
    return [state for _, state in ledger.progress_board(workbook).rows]


def test_progress_from_nothing_to_done(workbook):
    """Notebooks are done or not; a lab also counts its requirements, each once."""
    assert states(workbook) == ["not yet", "not yet", "not yet"]
    for step in ("01", "lab1: requirement 3", "lab1: requirement 3"):
        ledger.done(step)
    assert states(workbook) == ["✔ done", "not yet", "1 requirement met"]
    ledger.done("lab1: requirement 1")
    assert states(workbook)[2] == "2 requirements met"
    ledger.done("lab1")
    assert states(workbook)[2] == "✔ done"


def test_the_board_shows_itself(workbook):
    """As text and as a table whose links lead from the notebooks' folder."""
    board = ledger.progress_board(workbook)
    assert [line.split()[0] for line in repr(board).splitlines()] == [
        "01-ask",
        "02-wait",
        "lab1-upload",
    ]
    for link in ("../notebooks/01-ask.ipynb", "../labs/lab1-upload.ipynb"):
        assert f"<a href='{link}'>" in board._repr_html_()


def test_a_step_needs_a_name():
    """An empty step is refused."""
    with pytest.raises(ValueError, match="needs a name"):
        ledger.done(" ")


def test_the_command_line_explains_itself():
    """A wrong call ends in one line and an exit code."""
    with pytest.raises(SystemExit, match="store-reference"):
        ledger.main([])
