"""predict: the learner's guess, before the cell that measures."""

from __future__ import annotations

import html
import math
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython
from IPython.display import display

from helpers.lesson.ledger import guess_of, record_guess
from helpers.measure.units import number

__all__ = ["Guess", "predict"]

# How far off, as a factor, still earns which word.
WORDS = [
    (1.1, "Spot on."),
    (1.5, "Close."),
    (3.0, "The right order of magnitude."),
]


class Guess:
    """A question, and what the learner answered so far.

    ``value`` is None until the learner moves the slider or confirms where it stands.
    """

    def __init__(
        self, question: str, low: float, high: float, step: float, unit: str
    ) -> None:
        self.question = question
        self.low, self.high, self.step = low, high, step
        self.unit = unit
        earlier = guess_of(question)
        in_range = earlier is not None and low <= earlier <= high
        self.value: float | None = earlier if in_range else None

    def set(self, value: float) -> None:
        """Take ``value`` as the guess, and remember it in the ledger."""
        self.value = value
        record_guess(self.question, value)

    def beside(self, measured: float) -> str:
        """The guess beside what was measured, in the same unit, as a line of text."""
        if self.value is None:
            return f"No guess this time; measured {self._in_unit(measured)}."
        return (
            f"You said {self._in_unit(self.value)}, measured "
            f"{self._in_unit(measured)}. {_verdict(self.value, measured)}"
        )

    def compare(self, measured: float) -> None:
        """Print the guess beside what was measured."""
        print(self.beside(measured))

    def _in_unit(self, value: float) -> str:
        return f"{number(value)} {self.unit}".rstrip()

    def __repr__(self) -> str:
        # The same in every run, for it is stored with the notebook.
        span = f"{number(self.low)} to {self._in_unit(self.high)}"
        return f"predict: {self.question} (a slider from {span})"


def predict(
    question: str,
    low: float,
    high: float,
    unit: str = "",
    *,
    step: float | None = None,
    start: float | None = None,
) -> Guess:
    """Ask for a number on a slider; without an answer everything runs the same.

    The slider stands at ``start``, or at ``low``, until the learner moves it. ``step``
    is what one press of an arrow key moves it by; unless told, a round number that
    takes 100 presses at most, and a whole one between whole bounds. A guess made
    earlier comes back when the cell is run again.

    Raises ValueError when ``low``, ``high``, ``step`` and ``start`` fit no slider.
    """
    step = _round_step(low, high) if step is None else step
    _check(low, high, step, start)
    guess = Guess(question, low, high, step, unit)
    if get_ipython() is None:
        print(guess)
    else:
        asked = _ask(guess, low if start is None else start)
        # Where no widget can be shown, as on GitHub, the text stands in its place.
        bundle = asked._repr_mimebundle_() | {"text/plain": repr(guess)}
        display(bundle, raw=True)
    return guess


def _round_step(low: float, high: float) -> float:
    """1, 2 or 5 times a power of ten: the least with which 100 steps suffice."""
    if not low < high:
        return 1  # _check says what is wrong
    least = (high - low) / 100
    if isinstance(low, int) and isinstance(high, int) and least <= 1:
        return 1
    power = 10 ** math.floor(math.log10(least))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= least * 0.999)
    return round(step) if step >= 1 else step


def _check(low: float, high: float, step: float, start: float | None) -> None:
    if not low < high:
        raise ValueError(f"low must be below high, but {low} is not below {high}")
    if not 0 < step <= high - low:
        raise ValueError(
            f"step must be above 0 and fit between low and high, {step} does not"
        )
    if start is not None and not low <= start <= high:
        raise ValueError(f"start must lie between {low} and {high}, {start} does not")


def _ask(guess: Guess, start: float) -> widgets.Widget:
    """The question, its slider, a button for a guess that is right where it stands."""
    slider = _slider(guess, start)
    confirm = widgets.Button(description="That is my guess")
    state = widgets.HTML(_state(guess))

    def take(_: Any) -> None:
        # Runs on another thread than the cells do (a subshell's): it must not
        # print, and may touch only the guess and widgets.
        guess.set(slider.value)
        state.value = _state(guess)

    slider.observe(take, names="value")
    confirm.on_click(take)
    question = widgets.HTML(f"<b>{html.escape(guess.question)}</b>")
    answer = widgets.HBox([slider, confirm], layout={"flex_flow": "row wrap"})
    return widgets.VBox([question, answer, state])


def _slider(guess: Guess, start: float) -> widgets.IntSlider | widgets.FloatSlider:
    whole = all(isinstance(x, int) for x in (guess.low, guess.high, guess.step, start))
    return (widgets.IntSlider if whole else widgets.FloatSlider)(
        value=start if guess.value is None else guess.value,
        min=guess.low,
        max=guess.high,
        step=guess.step,
        tooltip=guess.question,  # what a screen reader says
        continuous_update=False,
        layout={"width": "min(30em, 95%)"},
    )


def _state(guess: Guess) -> str:
    if guess.value is None:
        unit = f" ({guess.unit})" if guess.unit else ""
        return html.escape(f"Move the slider{unit}, or run on without a guess.")
    return html.escape(f"Your guess: {guess._in_unit(guess.value)}")


def _verdict(guess: float, measured: float) -> str:
    if guess == measured:
        return "Exactly."
    if min(guess, measured) <= 0:  # no factor leads across zero
        return f"Off by {number(abs(guess - measured))}."
    factor = max(guess, measured) / min(guess, measured)
    for within, words in WORDS:
        if factor <= within:
            return words
    return f"Off by a factor of {number(factor)}: worth a second look at why."
