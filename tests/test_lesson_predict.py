"""helpers.lesson.predict"""

import importlib

import ipywidgets as widgets
import pytest

from helpers.lesson.ledger import guess_of
from helpers.lesson.predict import Guess, predict

# The room's name for it is the function; this is the module that it is from.
module = importlib.import_module("helpers.lesson.predict")

QUESTION = "How many times faster?"


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_LEDGER", str(tmp_path / "ledger.json"))


@pytest.fixture
def shown(monkeypatch):
    """What predict displays, as if it ran in a notebook."""
    bundles = []
    monkeypatch.setattr(module, "get_ipython", lambda: object())
    monkeypatch.setattr(module, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def asked(guess, start):
    """The widgets of a question: slider, button, state."""
    box = module._ask(guess, start)
    question, answer, state = box.children
    assert QUESTION in question.value
    return *answer.children, state


def a_guess():
    return Guess(QUESTION, low=1, high=40, step=1, unit="times")


def test_there_is_no_guess_until_the_learner_makes_one(shown):
    """Without an answer the value is None, and comparing works all the same."""
    guess = predict(QUESTION, low=1, high=40, unit="times")
    assert guess.value is None
    assert guess.beside(18.34) == "No guess this time; measured 18.3 times."


def test_moving_the_slider_is_a_guess():
    """The guess follows the slider, and the state says it."""
    guess = a_guess()
    slider, _, state = asked(guess, 1)
    slider.value = 12
    assert guess.value == 12
    assert state.value == "Your guess: 12 times"


def test_the_button_confirms_where_the_slider_stands():
    """Who thinks that the slider stands right need not move it."""
    guess = a_guess()
    _, confirm, _ = asked(guess, 20)
    confirm.click()
    assert guess.value == 20


def test_the_guess_comes_back_when_the_cell_runs_again():
    """The same question finds the earlier guess, and its slider stands there."""
    a_guess().set(12)
    again = a_guess()
    slider, *_ = asked(again, 1)
    assert again.value == slider.value == guess_of(QUESTION) == 12


def test_an_earlier_guess_out_of_range_is_forgotten():
    """A question whose range changed starts anew."""
    a_guess().set(12)
    assert Guess(QUESTION, low=20, high=40, step=1, unit="").value is None


@pytest.mark.parametrize(
    ("step", "slider"), [(1, widgets.IntSlider), (0.5, widgets.FloatSlider)]
)
def test_whole_numbers_stay_whole(step, slider):
    """A slider of whole numbers gives whole numbers, any other gives floats."""
    guess = Guess(QUESTION, low=0, high=10, step=step, unit="")
    assert isinstance(asked(guess, 0)[0], slider)


@pytest.mark.parametrize(
    ("said", "measured", "words"),
    [
        (18, 18, "Exactly."),
        (18, 18.3, "Spot on."),
        (12, 16, "Close."),
        (12, 30, "The right order of magnitude."),
        (2, 30, "Off by a factor of 15"),
        (30, 2, "Off by a factor of 15"),
        (3, 0, "Off by 3."),
    ],
)
def test_the_guess_beside_the_measurement(said, measured, words):
    """Both numbers with their unit, and a word on how near they are."""
    guess = a_guess()
    guess.set(said)
    text = guess.beside(measured)
    assert text.startswith(f"You said {said} times, measured {measured} times.")
    assert words in text


def test_compare_prints(capsys):
    """compare() prints what beside() returns."""
    a_guess().compare(3)
    assert capsys.readouterr().out == "No guess this time; measured 3 times.\n"


def test_the_stored_text_does_not_depend_on_the_guess(shown):
    """What is stored with the notebook is the same before and after a guess."""
    predict(QUESTION, low=1, high=40, unit="times").set(5)
    predict(QUESTION, low=1, high=40, unit="times")
    first, second = (bundle["text/plain"] for bundle in shown)
    assert first == second == f"predict: {QUESTION} (a slider from 1 to 40 times)"
    assert "application/vnd.jupyter.widget-view+json" in shown[0]


def test_outside_a_notebook_the_question_is_printed(capsys):
    """A plain script sees the question as text."""
    predict(QUESTION, low=1, high=40)
    assert capsys.readouterr().out == f"predict: {QUESTION} (a slider from 1 to 40)\n"


def test_a_question_is_text_and_not_markup():
    """Angle brackets in a question are shown, not taken as a tag."""
    box = module._ask(Guess("Is a < b?", 0, 1, 1, ""), 0)
    assert "a &lt; b" in box.children[0].value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 5, "high": 5}, "low must be below high"),
        ({"low": 1, "high": 5, "step": 0}, "step must be"),
        ({"low": 1, "high": 5, "step": 9}, "step must be"),
        ({"low": 1, "high": 5, "start": 6}, "start must lie"),
    ],
)
def test_what_fits_no_slider_is_refused(options, message):
    """The message names the argument that does not fit."""
    with pytest.raises(ValueError, match=message):
        predict(QUESTION, **options)


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(0, 2000, 20), (0, 40, 1), (-2, 8, 1), (0, 12_000, 200), (0.0, 8.0, 0.1)],
)
def test_a_slider_is_crossed_in_a_hundred_presses(low, high, step):
    """The step is a round number unless told, and whole between whole bounds."""
    assert predict(QUESTION, low, high).step == step
