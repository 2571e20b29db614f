"""helpers.lesson.check, and its modules check_child, _process, _report and _trial"""

import _thread
import asyncio
import json
import linecache
import os
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest

from helpers.lesson.check import Lab, Unmet, parts
from helpers.lesson.check_process import CannotTravel, End, LearnerProcess
from helpers.lesson.check_report import Report, Solution, Verdict

# For what takes no time at all on a quiet machine: starting one child process.
AT_ONCE = 30.0  # seconds


@pytest.fixture(autouse=True)
def ledger_path(tmp_path, monkeypatch):
    path = tmp_path / "ledger.json"
    monkeypatch.setenv("WORKBOOK_LEDGER", str(path))
    return path


@pytest.fixture(autouse=True)
def no_child_is_left():
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive


def drive(function, *args):
    return function(*args)


def make_lab(**options) -> Lab:
    """The learner writes add(a, b); small sums come first, large ones after."""
    lab = Lab("lab0", "add", ["a", "b"], driver=drive, is_async=False, **options)

    @lab.requirement("It adds small numbers", limit=10)
    def small(trial):
        expect(trial.call(2, 3), 5)

    @lab.requirement("It adds large numbers", limit=10)
    def large(trial):
        expect(trial.call(2000, 3000), 5000)

    return lab


def expect(outcome, result) -> None:
    if outcome.value != result:
        raise Unmet(f"It {outcome}, which is not {result}.")


@pytest.fixture
def process():
    with LearnerProcess() as process:
        yield process


def call(process, function, *args, limit=20.0, **options):
    return process.call(drive, function, *args, limit=limit, **options)


# -- verdicts ------------------------------------------------------------------------


def test_what_is_met_gets_its_row_and_goes_to_the_ledger(ledger_path):
    """The text of a full pass is the same every time; each step is marked as done."""

    def add(a, b):
        print("never shown", time.time())
        return a + b

    report = make_lab().check(add)
    assert repr(report) == (
        "lab0: 2 of 2 requirements met. Well done!\n\n"
        "✔ It adds small numbers\n"
        "✔ It adds large numbers"
    )
    assert report
    done = json.loads(ledger_path.read_text())["done"]
    assert done == ["lab0: small", "lab0: large", "lab0"]


def test_what_is_not_met_gets_the_message_the_place_and_the_prints(ledger_path):
    """Only the learner's own lines are shown, and what is met counts none the less."""

    def helper(a):
        return a // 0

    def add(a, b):
        print("a is", a)
        return helper(a) if a > 1000 else a + b

    report = make_lab().check(add)
    lines = repr(report).splitlines()
    assert lines[2] == "✔ It adds small numbers"
    assert lines[3] == "✘ It adds large numbers"
    shown = "\n".join(lines[4:])
    assert "It raised ZeroDivisionError: integer division or modulo by zero" in shown
    assert "in add: return helper(a) if a > 1000 else a + b" in shown
    assert "in helper: return a // 0" in shown
    assert "a is 2000" in shown
    assert "asyncio" not in shown and "check_child" not in shown
    assert json.loads(ledger_path.read_text())["done"] == ["lab0: small"]


def test_while_the_first_is_not_met_the_others_wait():
    """They would say the same in other words, or time out one after another."""
    report = make_lab().check(lambda a, b: 5000)
    assert report.failed == {"small": "It returned 5000, which is not 5."}
    assert "✘ It adds large numbers (not tried yet)" in repr(report)


def test_a_stub_is_told_so_at_once(ledger_path):
    """NotImplementedError is no failure of each requirement, but the start."""

    def add(a, b):
        raise NotImplementedError

    report = make_lab().check(add)
    assert "add() is not written yet" in repr(report)
    assert report.met == [] and report.failed == {}
    assert not ledger_path.exists()


def test_a_case_not_written_yet_hides_nothing():
    """NotImplementedError in one branch fails what needs it, and no more."""

    def add(a, b):
        if a > 1000:
            raise NotImplementedError
        return a + b

    report = make_lab().check(add)
    assert report.met == ["small"]
    assert "not written yet" in report.failed["large"]


def test_the_error_of_a_judge_is_not_the_learners():
    """A mistake in a check reaches its author, and is not shown as a verdict."""
    lab = Lab("lab0", "add", [], driver=drive, is_async=False)

    @lab.requirement("It has a bug", limit=1)
    def buggy(trial):
        raise LookupError("the judge is wrong")

    with pytest.raises(LookupError, match="the judge is wrong"):
        lab.check(lambda: None)


async def plain_coroutine(a, b):
    """For the tests below: a function that is async."""


@pytest.mark.parametrize(
    ("submission", "said"),
    [
        (lambda a, b: 0, "This function is not async"),
        (42, "This is 42, not a function"),
        (None, "This is None, not a function"),
        (lambda: plain_coroutine(1, 2), "Hand over the function itself"),
    ],
)
def test_what_is_no_such_function_is_refused_in_words(submission, said):
    """Nothing is run, and the message says what to write."""
    lab = Lab("lab0", "add", ["a", "b"], driver=drive)
    if "itself" in said:
        submission = submission()
    assert said in lab.check(submission).note


@pytest.mark.parametrize(
    "function", [lambda a: 0, lambda a, b, c: 0, lambda *, a, b: 0]
)
def test_a_wrong_signature_is_told(function):
    """It names the signature that is called, and what does not fit."""
    note = make_lab().check(function).note
    assert "called as add(a, b)" in note


def test_optional_parameters_are_fine():
    """A function may take more than it is given."""
    assert make_lab().check(lambda a, b, base=10: a + b)


def test_what_can_not_be_sent_is_told():
    """A lock from outside can not travel, and the message says where it belongs."""
    lock = threading.Lock()
    note = make_lab().check(lambda a, b: (lock, a + b)).note
    assert "Make that inside the function" in note


# -- a lab of parts, and a class for a function --------------------------------------


class Shape:
    """What the learner extends."""


class Square(Shape):
    def __init__(self, side):
        self.side = side


def area_of(shape_class, side):
    return shape_class(side).side ** 2


def make_class_lab() -> Lab:
    """The learner writes a class; its requirements are all tried at once."""
    lab = Lab("lab0", "Square", ["side"], driver=area_of, base=Shape, all_at_once=True)

    @lab.requirement("Its area is right", limit=10)
    def area(trial):
        expect(trial.call(3), 9)

    @lab.requirement("It can be nothing", limit=10)
    def nothing(trial):
        expect(trial.call(0), 0)

    return lab


def test_a_lab_of_parts_is_done_with_the_last_of_them(ledger_path):
    """Each part has its own table; the order in which they are met is free."""
    lab, other = parts(make_lab(), make_class_lab())
    assert "lab0, part 2: 2 of 2 requirements met" in repr(other.check(Square))
    assert json.loads(ledger_path.read_text())["done"] == [
        "lab0: area",
        "lab0: nothing",
    ]
    assert "lab0, part 1: 2 of 2 requirements met" in repr(
        lab.check(lambda a, b: a + b)
    )
    done = json.loads(ledger_path.read_text())["done"]
    assert done[-3:] == ["lab0: small", "lab0: large", "lab0"]


def test_a_part_half_met_does_not_finish_the_lab(ledger_path):
    """What is missing in one part is missing in the lab."""
    lab, other = parts(make_lab(), make_class_lab())
    lab.check(lambda a, b: a + b if a < 1000 else 0)
    assert other.check(Square)
    assert "lab0" not in json.loads(ledger_path.read_text())["done"]


def test_parts_must_belong_together():
    """One name in the ledger for all, and no requirement twice."""
    with pytest.raises(ValueError, match="share the lab's name"):
        parts(make_lab(), Lab("lab9", "add", [], driver=drive))
    with pytest.raises(ValueError, match="no name of a requirement"):
        parts(make_lab(), make_lab())


def test_all_at_once_waits_for_no_plain_case():
    """What fails first keeps the others from nothing."""

    class Small(Square):
        def __init__(self, side):
            super().__init__(min(side, 1))

    report = make_class_lab().check(Small)
    assert report.failed == {"area": "It returned 1, which is not 9."}
    assert report.met == ["nothing"]


@pytest.mark.parametrize("handed_in", [Square(1), lambda side: 1, int, None])
def test_what_is_no_such_class_is_refused_in_words(handed_in):
    """Nothing is run, and the message says which class to hand over."""
    note = make_class_lab().check(handed_in).note
    assert "not a class" in note
    assert "class Square(Shape)" in note and "check(Square)" in note


def test_a_class_with_other_parameters_is_told():
    """It names the call that is made."""

    class Plain(Shape):
        pass

    note = make_class_lab().check(Plain).note
    assert "It is called as Square(side)" in note


# -- the process -----------------------------------------------------------------------


def loop_for_ever():
    print("round and round")
    while True:
        pass


def sleep_for_ever():
    print("round and round")
    time.sleep(3600)


@pytest.mark.parametrize("function", [loop_for_ever, sleep_for_ever])
def test_what_does_not_end_is_ended_and_its_prints_are_kept(process, function):
    """The limit counts from when the child is ready, and the next call works."""
    began = time.monotonic()
    outcome = call(process, function, limit=0.5)
    assert 0.5 <= time.monotonic() - began < AT_ONCE
    assert outcome.end is End.TIMED_OUT
    assert "did not end within 0.5 s" in str(outcome)
    assert outcome.prints == "round and round"
    assert call(process, lambda: 7).value == 7


def test_a_coroutine_is_awaited(process):
    """async functions run on an event loop of their own."""

    async def wait_then(value):
        await asyncio.sleep(0)
        return value

    assert call(process, wait_then, 3).value == 3


def test_an_exit_of_the_process_is_told(process):
    """os._exit ends the child only, and its code is known."""
    outcome = call(process, lambda: os._exit(3))
    assert (outcome.end, outcome.exit_code) == (End.DIED, 3)
    assert "exit code 3" in str(outcome)


def test_sys_exit_is_an_exception_like_others(process):
    """So is KeyboardInterrupt; neither ends the child."""
    outcome = call(process, lambda: sys.exit("enough"))
    assert outcome.end is End.RAISED
    assert str(outcome.error) == "SystemExit: enough"


def test_a_run_ends_when_its_verdict_is_certain(process):
    """stop_when() is asked all the while."""
    answers = iter([False, False, True])
    outcome = call(process, sleep_for_ever, stop_when=lambda: next(answers))
    assert outcome.end is End.STOPPED


def test_endless_prints_are_bounded(process):
    """Only the end is kept, and nobody runs out of memory or disk."""

    def shout():
        while True:
            print("x" * 1000)

    outcome = call(process, shout, limit=1.0)
    assert outcome.prints.startswith("… (only the end is shown)")
    assert len(outcome.prints) < 10_000


def test_prints_belong_to_their_call(process):
    """Also what goes past Python's print to the descriptor."""

    def speak(word):
        print(word)
        os.write(1, b"and more\n")

    assert call(process, speak, "one").prints == "one\nand more"
    assert call(process, speak, "two").prints == "two\nand more"


def test_calls_share_no_globals(process):
    """A counter of the learner's begins anew: results depend on no order."""
    names = {}
    exec("n = 0\ndef count():\n    global n\n    n += 1\n    return n", names)
    assert [call(process, names["count"]).value for _ in range(3)] == [1, 1, 1]


def test_a_thread_left_behind_costs_the_child_its_place(process):
    """The next call gets a new one, so that nothing prints into it."""

    def leave_thread():
        threading.Thread(target=time.sleep, args=(3600,)).start()
        return os.getpid()

    assert call(process, leave_thread).value != call(process, os.getpid).value


def test_input_is_at_its_end(process):
    """input() does not wait for somebody who is not there."""
    assert call(process, input).raised("EOFError")


def test_an_exception_is_told_with_lines_of_a_cell(process):
    """Cells are in no file; their lines come from where the kernel keeps them."""
    source, file = "def fail():\n    return {}['key']\n", "/no/ipykernel_1/1.py"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    names = {}
    exec(compile(source, file, "exec"), names)
    error = call(process, names["fail"]).error
    assert str(error) == "KeyError: 'key'"
    assert error.where() == ["line 2, in fail: return {}['key']"]


def test_tasks_left_behind_are_named(process):
    """By their coroutines; a task that was awaited is not among them."""

    async def wait_for_ever():
        await asyncio.Event().wait()

    async def leave_one():
        task = asyncio.create_task(wait_for_ever())
        await asyncio.create_task(asyncio.sleep(0))
        return task.done()

    async def leave_none():
        task = asyncio.create_task(wait_for_ever())
        task.cancel()
        await asyncio.wait([task])
        raise KeyError

    assert call(process, leave_one).left == ("wait_for_ever",)
    assert call(process, leave_none).left == ()


def test_a_task_cancelled_and_not_awaited_is_left(process):
    """cancel() only asks: the task is still there."""

    async def ask_only():
        task = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0)
        task.cancel()

    assert call(process, ask_only).left == ("sleep",)


def test_the_sleeps_that_were_asked_for_are_told(process):
    """The learner's own, in order; not those of a library, and none of another call."""

    async def sleep_twice():
        await asyncio.sleep(0.02)
        await asyncio.wait_for(asyncio.sleep(0), timeout=5)
        await asyncio.to_thread(time.sleep, 0)

    assert call(process, sleep_twice).slept == (0.02, 0.0)
    assert call(process, sleep_twice).slept == (0.02, 0.0)


def test_the_line_that_blocks_the_loop_is_found(process):
    """Also when it raises in the end, and each line once."""

    async def block():
        for _ in range(2):
            time.sleep(0.5)  # noqa: ASYNC251 - it is to block
        raise KeyError

    outcome = call(process, block)
    assert outcome.raised("KeyError")
    [line] = outcome.blocked
    assert "in block: time.sleep(0.5)" in line


def test_a_loop_that_waits_or_works_is_not_blocked(process):
    """Neither sleep, which lets others go on, nor a loop with much to do."""

    async def wait_then_work():
        await asyncio.sleep(0.5)
        for _ in range(200):
            sum(range(10_000))
            await asyncio.sleep(0)

    assert call(process, wait_then_work).blocked == ()


def test_a_value_that_can_not_travel_comes_as_its_text(process):
    """A verdict needs something to speak of."""
    assert "lock" in call(process, threading.Lock).value


def test_a_value_that_can_not_be_sent_raises(process):
    """It says what pickle said."""
    lock = threading.Lock()
    with pytest.raises(CannotTravel, match="lock"):
        call(process, print, lock)


def test_a_slow_machine_gets_more_time(process, monkeypatch):
    """WORKBOOK_TIME_SCALE multiplies every limit, and must be a number."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")
    assert call(process, sleep_for_ever, limit=5.0).limit == 0.5
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "fast")
    with pytest.raises(ValueError, match="WORKBOOK_TIME_SCALE is a number"):
        call(process, sleep_for_ever)


def test_an_interrupt_ends_the_check_and_the_child():
    """The kernel's stop button: nothing of the learner's runs on."""
    lab = Lab("lab0", "loop", [], driver=drive, is_async=False)
    interrupts = iter([_thread.interrupt_main])

    @lab.requirement("It loops", limit=60)
    def loops(trial):
        trial.call(stop_when=lambda: bool(next(interrupts, bool)()))

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        lab.check(loop_for_ever)
    assert time.monotonic() - began < AT_ONCE


# -- the report ----------------------------------------------------------------------


def test_the_first_run_that_failed_is_drawn():
    """The ladder of the first failure stands below the rows, in text and in HTML."""
    drawn = []

    def draw(capture, title):
        drawn.append((capture, title))
        picture = SimpleNamespace(_repr_mimebundle_=lambda: {"text/html": "<svg/>"})
        return picture

    verdicts = [
        Verdict("a", "A", met=True, capture="ignored"),
        Verdict("b", "B", met=False, message="no", capture="second"),
        Verdict("c", "C", met=False, message="no", capture="third"),
    ]
    html = Report("lab0", verdicts, draw=draw)._repr_mimebundle_()["text/html"]
    assert html.count("<svg/>") == 1
    repr(Report("lab0", verdicts, draw=lambda *a: drawn.append(a), drawn="Who came"))
    assert drawn.pop()[1] == "Who came when requirement 2 failed"
    assert set(drawn) == {("second", "What crossed the link when requirement 2 failed")}


def test_what_the_learner_wrote_is_escaped():
    """A message or a print is text on the page, never markup."""
    verdict = Verdict("a", "A", met=False, message="<script>alert(1)</script>")
    html = Report("lab0", [verdict])._repr_mimebundle_()["text/html"]
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_the_solution_is_folded(tmp_path):
    """The text names the file only: who does not want to see it does not."""
    path = tmp_path / "lab0.py"
    path.write_text("secret = a < b")
    bundle = Solution(path)._repr_mimebundle_()
    assert "secret" not in bundle["text/plain"]
    assert "<details><summary>" in bundle["text/html"]
    assert "secret = a &lt; b" in bundle["text/html"]
