"""helpers.lesson.quiz"""

import importlib
import json
import re
import subprocess
import sys

import pytest

from helpers.lesson.quiz import Question, quiz

# The room's name for it is the function; this is the module that it is from.
module = importlib.import_module("helpers.lesson.quiz")

QUESTIONS = [
    Question(
        "Which may be sent twice, at $5 < $6?",
        right={"`PUT`": "It sets the same state."},
        wrong={"POST": "It may create <another>.", "CONNECT": "That opens a tunnel."},
    )
]


@pytest.fixture
def shown(monkeypatch):
    """What quiz displays, as if it ran in a notebook."""
    bundles = []
    monkeypatch.setattr(module, "get_ipython", lambda: object())
    monkeypatch.setattr(module, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def embedded(page):
    """The questions as the page's script gets them."""
    return json.loads(re.search(r"var questions\w+=(\[.*?\]);\n", page)[1])


@pytest.mark.parametrize(
    ("text", "right", "wrong", "message"),
    [
        ("", {"a": "yes"}, {"b": "no"}, "no text"),
        ("q", {}, {"b": "no"}, "exactly one right answer, not 0"),
        ("q", {"a": "yes", "c": "yes"}, {"b": "no"}, "one right answer, not 2"),
        ("q", {"a": "yes"}, {}, "needs a wrong answer"),
        ("q", {"a": "yes"}, {"a": "no"}, "'a' right and wrong"),
        ("q", {"a": "yes"}, {"b": " "}, "feedback for the answer 'b'"),
        ("q", {"a": ""}, {"b": "no"}, "feedback for the answer 'a'"),
        ("q", {"": "yes"}, {"b": "no"}, "empty answer"),
    ],
)
def test_a_question_that_teaches_nothing_is_refused(text, right, wrong, message):
    """One right answer, a wrong one, and feedback on each; else the message says."""
    with pytest.raises(ValueError, match=message):
        Question(text, right, wrong)


def test_a_quiz_without_questions_is_refused():
    """An empty quiz is a mistake in the cell."""
    with pytest.raises(ValueError, match="needs a question"):
        quiz([])


def test_each_answer_keeps_its_feedback(shown):
    """The page gets one right answer, and each answer with its own feedback."""
    quiz(QUESTIONS)
    (question,) = embedded(shown[0]["text/html"])
    feedback = {a["answer"]: (a["correct"], a["feedback"]) for a in question["answers"]}
    assert feedback == {
        "<code>PUT</code>": (True, "It sets the same state."),
        "POST": (False, "It may create &lt;another&gt;."),
        "CONNECT": (False, "That opens a tunnel."),
    }


def test_text_is_neither_markup_nor_mathematics(shown):
    """Angle brackets and dollars are shown as they are."""
    quiz(QUESTIONS)
    (question,) = embedded(shown[0]["text/html"])
    assert question["question"] == "Which may be sent twice, at &#36;5 &lt; &#36;6?"


def test_the_library_sees_no_mathjax(shown):
    """Its script runs where MathJax is undefined, so that it asks no CDN for it."""
    quiz(QUESTIONS)
    script = re.search(r"<script>(.*)</script>", shown[0]["text/html"], re.DOTALL)[1]
    assert script.startswith("(function (MathJax) {")
    assert script.endswith("})();")
    assert "window.MathJax." not in script  # which the shadow would not hide


def test_stored_output_is_the_same_in_every_run(shown):
    """Running the cell again changes nothing in the stored notebook."""
    quiz(QUESTIONS)
    quiz(QUESTIONS)
    assert shown[0] == shown[1]


def test_two_quizzes_do_not_meet(shown):
    """Each quiz has an element of its own."""
    quiz(QUESTIONS)
    quiz([Question("Another?", right={"a": "yes"}, wrong={"b": "no"})])
    first, second = (re.search(r'id="(\w+)"', b["text/html"])[1] for b in shown)
    assert first != second


def test_outside_a_notebook_the_questions_are_text(capsys):
    """The text lists all answers, and does not tell which one is right."""
    quiz(QUESTIONS)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "1. Which may be sent twice, at $5 < $6?",
        "   - CONNECT",
        "   - POST",
        "   - `PUT`",
    ]


def test_the_lesson_does_not_draw():
    """No module of the lesson imports matplotlib."""
    names = ", ".join(f"helpers.lesson.{m}" for m in ("predict", "claim", "quiz"))
    code = f"import sys, {names}; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
