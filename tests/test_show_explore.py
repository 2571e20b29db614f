"""helpers.show.explore and helpers.show.runner."""

import asyncio
import threading
import time

import pytest

from helpers.show.display import as_html
from helpers.show.explore import Exploration, Slider, explore
from helpers.show.runner import Listener, Runner
from helpers.show.tables import table

PATIENCE = 30  # seconds until a condition counts as never true


class Heard(Listener):
    """Writes down what it hears."""

    def __init__(self):
        self.events = []

    def started(self, settings):
        self.events.append(("started", settings))

    def progressed(self, done, total, text):
        self.events.append(("progressed", done, total, text))

    def finished(self, result, took):
        self.events.append(("finished", result))

    def failed(self, error):
        self.events.append(("failed", error))

    def stopped(self):
        self.events.append(("stopped",))

    @property
    def names(self):
        return [event[0] for event in self.events]


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.005)


async def echo(*, n):
    return n


async def forever(*, n):
    await asyncio.Event().wait()


# -- the runner -------------------------------------------------------------------


def test_a_run_is_heard_from_start_to_end():
    """Started with its settings, then finished with the result."""
    heard = Heard()
    runner = Runner(echo, heard)
    runner.run(n=3)
    runner.wait(PATIENCE)
    assert heard.events == [("started", {"n": 3}), ("finished", 3)]
    assert not runner.running


def test_the_latest_run_wins():
    """Runs that were overtaken are cancelled, and not heard of afterwards."""
    heard, ended = Heard(), []

    async def experiment(*, n):
        try:
            if n < 3:
                await asyncio.Event().wait()
            return n
        finally:
            ended.append(n)

    runner = Runner(experiment, heard)
    for n in (1, 2, 3):
        runner.run(n=n)
    runner.wait(PATIENCE)
    assert heard.events[-1] == ("finished", 3)
    assert "stopped" not in heard.names and "failed" not in heard.names
    assert ended[-1] == 3


def test_runs_never_overlap():
    """The next begins only when the one before has cleaned up."""
    inside, most = [], []

    async def experiment(*, n):
        inside.append(n)
        most.append(len(inside))
        try:
            await asyncio.sleep(0 if n == 9 else 60)
        finally:
            await asyncio.sleep(0.01)
            inside.remove(n)

    runner = Runner(experiment, Heard())
    for n in range(10):
        runner.run(n=n)
        if n % 2:
            wait_for(lambda n=n: inside == [n] or n == 9)
    runner.wait(PATIENCE)
    assert max(most) == 1 and not inside


def test_stop_cancels_and_is_heard():
    """What runs ends with its cleanup done, and the listener knows."""
    heard = Heard()
    runner = Runner(forever, heard)
    runner.run(n=1)
    wait_for(lambda: "started" in heard.names)
    runner.stop()
    runner.wait(PATIENCE)
    assert heard.names == ["started", "stopped"]


def test_errors_are_told_and_the_runner_goes_on():
    """Even SystemExit, and a CancelledError that nobody asked for."""
    heard = Heard()

    async def experiment(*, error):
        if error is not None:
            raise error
        return "fine"

    runner = Runner(experiment, heard)
    for error in (ValueError("x"), SystemExit(1), asyncio.CancelledError(), None):
        runner.run(error=error)
        runner.wait(PATIENCE)
    assert heard.names[1::2] == ["failed", "failed", "failed", "finished"]


def test_a_listener_that_fails_is_told():
    """A result that can not be shown is an error, not silence."""
    heard = Heard()
    heard.finished = lambda result, took: 1 / 0
    runner = Runner(echo, heard)
    runner.run(n=1)
    runner.wait(PATIENCE)
    assert isinstance(heard.events[-1][1], ZeroDivisionError)


def test_reports_are_thinned_out_but_the_last_one_comes():
    """A thousand reports in a moment do not flood the page."""
    heard = Heard()

    async def experiment(*, n, report):
        for i in range(n):
            report(i + 1, n, "at work")

    runner = Runner(experiment, heard)
    runner.run(n=1000)
    runner.wait(PATIENCE)
    reports = [event for event in heard.events if event[0] == "progressed"]
    assert reports[-1] == ("progressed", 1000, 1000, "at work")
    assert len(reports) < 500


def test_close_leaves_no_thread():
    """After close there is neither a run nor its thread."""
    before = threading.active_count()
    runner = Runner(forever, Heard())
    runner.run(n=1)
    runner.close(patience=PATIENCE)
    assert not runner.running and threading.active_count() <= before


def test_an_experiment_that_blocks_is_named():
    """Close does not hang with it; it says which one, and what to do."""
    free = threading.Event()

    async def blocks(*, n):
        free.wait()

    heard = Heard()
    runner = Runner(blocks, heard)
    runner.run(n=1)
    wait_for(lambda: heard.names)
    with pytest.raises(RuntimeError, match="blocks does not stop"):
        runner.close(patience=0.01)
    free.set()
    runner.close(patience=PATIENCE)


# -- the widgets -------------------------------------------------------------------


def test_a_released_slider_runs_the_experiment():
    """A new value starts a run with all settings; its result is shown."""
    shown = explore(echo, n=(1, 40, 1))
    assert "Move a slider" in shown.status.value and not shown.result.value
    shown.controls["n"].value = 7
    shown.runner.wait(PATIENCE)
    assert shown.result.value == "<pre>7</pre>"
    assert "n = 7" in shown.status.value


def test_run_and_stop_buttons():
    """Run starts with the values that stand; Stop ends it, and says so."""
    shown = explore(forever, n=(1, 40, 1))
    shown.run_button.click()
    wait_for(lambda: not shown.stop_button.disabled)
    shown.stop_button.click()
    shown.runner.wait(PATIENCE)
    assert "stopped" in shown.status.value and shown.stop_button.disabled


def test_an_error_is_one_line_and_its_details():
    """The learner reads what went wrong; markup in it stays text."""

    async def broken(*, n):
        raise ValueError("<b>no luck</b>")

    shown = explore(broken, n=(1, 2, 1))
    shown.run()
    shown.runner.wait(PATIENCE)
    assert "ValueError: &lt;b&gt;no luck" in shown.result.value
    assert "<details>" in shown.result.value and "<b>" not in shown.result.value


def test_nothing_runs_by_itself_unless_asked():
    """autorun=True runs at once with the start values."""
    idle = explore(echo, n=(1, 40, 1, 5))
    assert not idle.runner.running and not idle.result.value
    eager = explore(echo, autorun=True, n=(1, 40, 1, 5))
    eager.runner.wait(PATIENCE)
    assert eager.result.value == "<pre>5</pre>"


def test_after_close_nothing_runs():
    """The controls of an exploration that its cell replaced are dead."""
    shown = explore(forever, n=(1, 40, 1))
    shown.run()
    shown.close()
    assert not shown.runner.running and shown.controls["n"].disabled


def test_sliders_may_be_fractions_choices_and_have_units():
    """Whole steps make a whole slider; a list makes choices; units are written."""
    spec = {"latency": Slider(0, 0.2, 0.01, 0.02, unit="s"), "size": [1024, 4096]}

    async def experiment(*, latency, size): ...

    shown = explore(experiment, **spec)
    assert shown.settings == {"latency": 0.02, "size": 1024}
    assert shown.controls["latency"].description == "latency, s"
    assert not shown.controls["latency"].continuous_update


@pytest.mark.parametrize(
    ("experiment", "sliders", "named"),
    [
        (lambda n: n, {"n": (1, 2, 1)}, "async def"),
        (echo, {"m": (1, 2, 1)}, "do not fit echo"),
        (echo, {"n": 5}, "a slider is"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(experiment, sliders, named):
    """Not when the slider is moved."""
    with pytest.raises(TypeError, match=named):
        explore(experiment, **sliders)


@pytest.mark.parametrize("bad", [(5, 1, 1), (1, 5, 0), (1, 5, 1, 9)])
def test_impossible_ranges_are_refused(bad):
    """The message shows the range."""
    with pytest.raises(ValueError, match="low <= start <= high"):
        explore(echo, n=bad)


def test_a_stored_notebook_says_what_was_there():
    """Without a kernel the sliders are described in words."""
    bundle = Exploration(echo, {"n": (1, 40, 1)})._repr_mimebundle_()
    assert "n from 1 to 40" in bundle["text/plain"]
    assert "Run this cell" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_results_of_many_kinds_are_shown():
    """Charts and tables by their own HTML, several of them in a list, text escaped."""
    one = table([["a", 1]], ["x", "y"], caption="c")
    assert as_html([one, "<b>"]) == one.html() + "<pre>&lt;b&gt;</pre>"
    assert as_html(None) == ""
