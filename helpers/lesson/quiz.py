"""quiz: questions with feedback on each answer, shown by jupyterquiz.

    quiz([
        Question(
            "Which of these may a client send twice without harm?",
            right={"PUT": "It sets the same state again."},
            wrong={"POST": "Each one may create another resource."},
        ),
    ])

Text between backticks is shown as code.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from dataclasses import dataclass
from typing import Any

from IPython import get_ipython
from IPython.display import display
from jupyterquiz.dynamic.loader import load_questions_script
from jupyterquiz.dynamic.renderer import build_script, build_styles, render_div

from helpers.lesson.content import content

__all__ = ["Question", "quiz"]

# Colours of the page's theme, so that light and dark both read well; beside them
# a green and a red that white text stands out from (contrast above 4.5).
COLORS = {
    "--jq-multiple-choice-bg": "var(--jp-layout-color2, #eee)",
    "--jq-mc-button-bg": "var(--jp-layout-color1, #fff)",
    "--jq-mc-button-border": "var(--jp-border-color0, #888)",
    "--jq-mc-button-inset-shadow": "transparent",
    "--jq-text-color": "var(--jp-ui-font-color1, #111)",
    "--jq-link-color": "var(--jp-content-link-color, #06c)",
    "--jq-correct-color": "#1b7f3b",
    "--jq-incorrect-color": "#b3261e",
}

# The text is there for pages without scripts, and gives way to the questions. The
# sign before the feedback says in form what the colour says.
STYLE = """<style>
QUIZ .quiz-as-text:not(:only-child) { display: none; }
QUIZ .Quiz { margin: 1em 0; font-size: 1rem; line-height: 1.4; }
QUIZ .MCButton { color: var(--jq-text-color); font-size: 1em; position: relative; }
QUIZ .MCButton input { position: absolute; inset: 0; opacity: 0; pointer-events: none; }
QUIZ .MCButton:focus-within { outline: 3px solid var(--jp-brand-color1, #1976d2); }
QUIZ .correctButton, QUIZ .incorrectButton { color: #fff; }
QUIZ code { background: none; color: inherit; }
QUIZ .Feedback { color: var(--jq-text-color); font-size: 1em; text-align: left; }
QUIZ .correct::before { content: "✔ "; }
QUIZ .incorrect::before { content: "✘ "; }
</style>"""

# In a function of its own, for two reasons: no name of the library meets those of
# another quiz, and MathJax is undefined in it, else the library would fetch that
# from a CDN. Then what it leaves out: an answer is a button for the keyboard, and
# a screen reader hears the feedback.
SCRIPT = """(function (MathJax) {
LIBRARY
(function finish() {
    const quiz = document.getElementById("QUIZ");
    if (!quiz || !quiz.querySelector(".Feedback")) return setTimeout(finish, 200);
    for (const answer of quiz.querySelectorAll(".MCButton input"))
        answer.type = "button";
    for (const feedback of quiz.querySelectorAll(".Feedback"))
        feedback.setAttribute("aria-live", "polite");
})();
})();"""


@dataclass(frozen=True)
class Question:
    """A question with one right answer; each answer maps to its feedback.

    Raises ValueError, which names the question, unless one answer is right, at least
    one is wrong, each has feedback, and none is both.
    """

    text: str
    right: dict[str, str]
    wrong: dict[str, str]

    def __post_init__(self) -> None:
        answers = [*self.right.items(), *self.wrong.items()]
        if not self.text.strip():
            self._refuse("has no text")
        if len(self.right) != 1:
            self._refuse(f"needs exactly one right answer, not {len(self.right)}")
        if not self.wrong:
            self._refuse("needs a wrong answer")
        if both := self.right.keys() & self.wrong.keys():
            self._refuse(f"calls {both.pop()!r} right and wrong")
        for answer, feedback in answers:
            if not answer.strip():
                self._refuse("has an empty answer")
            if not feedback.strip():
                self._refuse(f"needs feedback for the answer {answer!r}")

    def _refuse(self, why: str) -> None:
        raise ValueError(f"the question {self.text!r} {why}")

    @property
    def answers(self) -> list[str]:
        """All answers, in an order that does not tell which one is right."""
        return sorted([*self.right, *self.wrong])

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"   - {answer}" for answer in self.answers)])


def quiz(questions: list[Question] | str) -> None:
    """Show the questions; a click or key on an answer shows its feedback.

    A notebook's number ("01") stands for the questions in its content.

    Where no script runs, as on GitHub, the questions stand as plain text.

    Raises ValueError when there is no question.
    """
    if isinstance(questions, str):
        questions = [Question(**each) for each in content(questions)["quiz"]]
    if not questions:
        raise ValueError("a quiz needs a question: quiz([Question(...)])")
    if get_ipython() is None:
        print(_as_text(questions))
    else:
        bundle = {"text/plain": _as_text(questions), "text/html": _as_html(questions)}
        display(bundle, raw=True)


def _as_text(questions: list[Question]) -> str:
    numbered = (f"{n}. {question}" for n, question in enumerate(questions, start=1))
    return "\n".join(["A quiz (run this cell to answer):", *numbered])


def _as_html(questions: list[Question]) -> str:
    asked = [_as_jupyterquiz(question) for question in questions]
    # An id of its own for each quiz, and the same one when the cell is run again.
    quiz_id = "quiz" + hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
    division = render_div(
        quiz_id,
        shuffle_questions=False,
        shuffle_answers=True,
        preserve_responses=False,
        num=len(asked),
        max_width=720,
        border_radius=6,
        question_alignment="left",
    )
    as_text = f"<pre class='quiz-as-text'>{html.escape(_as_text(questions))}</pre>"
    prefix, static, url = load_questions_script(asked, quiz_id)
    library = build_script(prefix, static, url, quiz_id, load_js=True)
    style = build_styles(quiz_id, COLORS) + STYLE.replace("QUIZ", f"#{quiz_id}")
    script = SCRIPT.replace("LIBRARY", library).replace("QUIZ", quiz_id)
    return f"{division}{as_text}</div>{style}<script>{script}</script>"


def _as_jupyterquiz(question: Question) -> dict[str, Any]:
    feedback = question.right | question.wrong
    return {
        "question": _markup(question.text),
        "type": "multiple_choice",
        "answers": [
            {
                "answer": _markup(answer),
                "correct": answer in question.right,
                "feedback": _markup(feedback[answer]),
            }
            for answer in question.answers
        ],
    }


def _markup(text: str) -> str:
    """Our plain text as HTML; the library would take a $ for mathematics."""
    escaped = html.escape(text).replace("$", "&#36;")
    return re.sub("`([^`]+)`", r"<code>\1</code>", escaped)
