"""complaints() and stuck(): six bugs as a cell shows them, and what is told of each.

Each cell runs by asyncio.run and in a real kernel, and must read the same there.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import linecache
import sys
import time
import warnings
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from helpers.lesson.complaints import CANCELS, Lines, complaints, end, stuck

IMPORTS = """
import asyncio
from helpers.lesson.complaints import complaints, end, stuck
"""

# name: (cell, what it shows)
CELLS = {
    "a lost update": (
        """
balance = 100

async def withdraw(amount):
    global balance
    seen = balance
    await asyncio.sleep(0)  # the bank's database answers
    balance = seen - amount

async with asyncio.TaskGroup() as group:
    group.create_task(withdraw(30), name="shop")
    group.create_task(withdraw(50), name="cash machine")
balance
""",
        "50",
    ),
    "a coroutine never awaited": (
        """
async def save(order):
    print("saved", order)

with complaints(debug=True) as heard:
    save("two kettles")
heard
""",
        """\
coroutine 'save' was never awaited
    created at: save("two kettles")""",
    ),
    "an exception that nobody saw": (
        """
async def send_mail(user):
    raise ValueError(f"no such user: {user}")

with complaints(debug=True) as heard:
    asyncio.create_task(send_mail("Bob"), name="send mail")
    await asyncio.sleep(0)
heard
""",
        """\
Task 'send mail': exception was never retrieved: ValueError('no such user: Bob')
    created at: asyncio.create_task(send_mail("Bob"), name="send mail")""",
    ),
    "a task destroyed while pending": (
        """
async def poll():
    news = asyncio.Event()  # nobody else holds it
    await news.wait()

with complaints(debug=True) as heard:
    asyncio.create_task(poll(), name="poller")  # nor the task
    await asyncio.sleep(0)
heard
""",
        """\
Task 'poller' was destroyed but it is pending
    created at: asyncio.create_task(poll(), name="poller")""",
    ),
    "a cancellation swallowed": (
        """
async def fetch_stubbornly():
    async with asyncio.timeout(0.05):
        for attempt in range(3):
            try:
                return await asyncio.sleep(3600)
            except BaseException:  # whatever went wrong: try again
                pass

task = asyncio.create_task(fetch_stubbornly(), name="fetch")
_, pending = await asyncio.wait([task], timeout=0.5)
where = stuck(pending)
await end(pending)
where
""",
        "fetch (cancelled once, not ended) waits at: return await asyncio.sleep(3600)",
    ),
    "a deadlock": (
        """
a, b = asyncio.Lock(), asyncio.Lock()

async def transfer(source, target):
    async with source:
        await asyncio.sleep(0)
        async with target:
            return "done"

tasks = [asyncio.create_task(transfer(a, b), name="from a to b"),
         asyncio.create_task(transfer(b, a), name="from b to a")]
_, pending = await asyncio.wait(tasks, timeout=0.1)
where = stuck(pending)
await end(pending)
where
""",
        """\
from a to b waits at: async with target:
from b to a waits at: async with target:""",
    ),
}


def run_cell(code: str) -> str:
    """Run a cell by asyncio.run, as a notebook would; what its last line shows."""
    *body, last = code.strip().splitlines()
    source = "\n".join([IMPORTS, *body, f"shown = {last}"])
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(True), "<cell>")
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    names: dict[str, Any] = {}

    async def main() -> None:
        result = eval(compile(source, "<cell>", "exec", flags), names)
        if result is not None:  # it awaits something
            await result

    asyncio.run(main())
    return repr(names["shown"])


# -- the six bugs --------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "shown"), CELLS.values(), ids=CELLS)
def test_a_bug_is_told_by_asyncio_run(cell, shown):
    """The bug shows in every run, by the same words."""
    assert run_cell(cell) == shown


def test_the_bugs_are_told_in_a_notebook(time_unit):
    """In a kernel, whose loop runs on, the words are the same; also the second time."""
    codes = [
        IMPORTS,
        *(cell for cell, _ in CELLS.values()),
        *(c for c, _ in CELLS.values()),
    ]
    notebook = nbformat.v4.new_notebook(
        cells=list(map(nbformat.v4.new_code_cell, codes))
    )
    NotebookClient(notebook, timeout=60 * time_unit, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells[1:]]
    assert all(len(output) == 1 for output in outputs), outputs  # nothing on stderr
    shown = [output[0]["data"]["text/plain"] for output in outputs]
    assert shown == 2 * [shown for _, shown in CELLS.values()]


# -- complaints ----------------------------------------------------------------------


async def fail() -> None:
    raise LookupError("no such page")


async def wait_alone() -> None:
    await asyncio.Event().wait()


def listen(what: Any, *, debug: bool = False) -> Lines:
    """What is heard while ``what()`` is called and the loop turns a few times."""

    async def main() -> Lines:
        with complaints(debug=debug) as heard:
            what()
            for _ in range(3):
                await asyncio.sleep(0)
        return heard

    return asyncio.run(main())


def test_nothing_is_heard_where_nothing_is_wrong():
    """The list stays empty, and says so."""
    heard = listen(lambda: None, debug=True)
    assert heard == []
    assert repr(heard) == "nothing"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (fail, "coroutine 'fail' was never awaited"),
        (
            lambda: asyncio.create_task(fail()),
            "Task of fail(): exception was never retrieved: "
            "LookupError('no such page')",
        ),
        (
            lambda: asyncio.create_task(wait_alone()),
            "Task of wait_alone() was destroyed but it is pending",
        ),
    ],
)
def test_without_debug_mode_there_is_no_origin(what, line):
    """asyncio does not know it then. A task without a name has its coroutine's."""
    assert listen(what) == [line]


def test_no_address_is_in_a_line():
    """An object without a repr of its own would tell where it lies in memory."""

    async def fail_with_an_object() -> None:
        raise LookupError(object())

    heard = listen(lambda: asyncio.create_task(fail_with_an_object()))
    assert heard[0].endswith("LookupError(<object object>)")


def test_a_callback_that_raises_is_heard():
    """It has no task, and nobody who could catch what it raises."""

    def raise_it() -> None:
        raise LookupError("in a callback")

    def what() -> None:
        asyncio.get_running_loop().call_soon(raise_it)

    (line,) = listen(what, debug=True)
    assert line.startswith("Exception in callback ")
    assert "LookupError('in a callback')" in line
    assert line.endswith("created at: asyncio.get_running_loop().call_soon(raise_it)")
    assert __file__ not in line


def test_a_long_line_of_code_is_shortened():
    """A line in the list stays a line on the page."""
    text = "x" * 200

    async def fail_at_length() -> None:
        raise LookupError(text)

    (line,) = listen(lambda: asyncio.create_task(fail_at_length()))
    assert len(line) < 140
    assert line.endswith("x…")


def test_a_task_that_holds_the_loop_is_heard_in_debug_mode():
    """By its name, without a figure that would differ each time."""

    async def grind() -> None:
        time.sleep(0.15)  # noqa: ASYNC251 - the bug

    heard = listen(lambda: asyncio.create_task(grind(), name="mill"), debug=True)
    assert heard == ["Task 'mill' held the loop for over 0.1 s"]
    assert listen(lambda: asyncio.create_task(grind())) == []


def test_other_warnings_are_passed_on():
    """Only never-awaited coroutines are taken from Python's warnings."""
    with pytest.warns(RuntimeWarning, match="something else"):
        heard = listen(lambda: warnings.warn("something else", RuntimeWarning, 2))
    assert heard == []


def test_older_garbage_is_not_heard():
    """What an earlier cell left behind is not blamed on this one."""

    async def main() -> Lines:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        gc.disable()
        try:
            forgotten = asyncio.create_task(wait_alone())
            await asyncio.sleep(0)
            del forgotten
            with complaints() as heard:
                pass
        finally:
            gc.enable()
        return heard

    assert asyncio.run(main()) == []


def test_the_loop_is_given_back_as_it_was():
    """Its handler, debug mode and limits; also when the block raises."""

    def state() -> tuple:
        loop = asyncio.get_running_loop()
        return (
            loop.get_exception_handler(),
            loop.get_debug(),
            loop.slow_callback_duration,
            sys.get_coroutine_origin_tracking_depth(),
        )

    async def main(debug: bool, turns: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        before = state()
        with pytest.raises(LookupError), complaints(debug=debug):
            for _ in range(turns):
                await asyncio.sleep(0)
            raise LookupError
        for _ in range(3):
            await asyncio.sleep(0)
        assert state() == before

    for debug in (False, True):
        for turns in (0, 1, 2):
            asyncio.run(main(debug, turns))
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_a_loop_in_debug_mode_stays_in_it():
    """Who turned it on before will turn it off."""

    async def main() -> None:
        with complaints(debug=True):
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.get_running_loop().get_debug()

    asyncio.run(main(), debug=True)


def test_without_a_loop_there_is_nothing_to_listen_to():
    """The error says where to use it."""
    with pytest.raises(RuntimeError, match="in a cell, or inside of the coroutine"):
        with complaints():
            pass


# -- stuck, end ----------------------------------------------------------------------


def test_stuck_tells_the_innermost_line_of_ones_own():
    """Not the line in asyncio, and not the outermost call."""

    async def inner(lock: asyncio.Lock) -> None:
        async with lock:
            pass

    async def outer(lock: asyncio.Lock) -> None:
        await inner(lock)

    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        tasks = [asyncio.create_task(outer(lock), name=name) for name in "ba"]
        assert stuck(tasks) == ["a has not begun", "b has not begun"]
        await asyncio.sleep(0)
        assert stuck(tasks) == [
            "a waits at: async with lock:",
            "b waits at: async with lock:",
        ]
        await end(tasks)
        assert stuck(tasks) == []

    asyncio.run(main())


async def swallow(times: int) -> None:
    for _ in range(times):
        try:
            await asyncio.sleep(3600)
        except BaseException:
            continue
    await asyncio.sleep(3600)


def test_stuck_counts_the_cancellations():
    """A task that was asked to end and has not is told apart from one that waits."""

    async def main() -> None:
        task = asyncio.create_task(swallow(5))
        for told in (
            "swallow()",
            "swallow() (cancelled once, not ended)",
            "swallow() (cancelled 2 times, not ended)",
        ):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert stuck([task]) == [f"{told} waits at: await asyncio.sleep(3600)"]
            task.cancel()
        await end([task])

    asyncio.run(main())


@pytest.mark.parametrize("times", [0, 1, 3])
def test_end_ends_a_task_that_swallows(times):
    """It asks until the task has ended."""

    async def main() -> None:
        task = asyncio.create_task(swallow(times))
        await asyncio.sleep(0)
        await end([task])
        assert task.cancelled()

    asyncio.run(main())


def test_end_gives_up_on_a_task_that_swallows_all():
    """The error says where it waits."""

    async def main() -> None:
        task = asyncio.create_task(swallow(CANCELS + 1), name="stubborn")
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match=r"stubborn .* waits at: await asyncio"):
            await end([task])
        await end([task])

    asyncio.run(main())


def test_end_takes_what_the_tasks_raise():
    """Nothing is left for asyncio to complain about, and no task to end is fine too."""

    async def main() -> Lines:
        with complaints() as heard:
            await end({asyncio.create_task(fail()), asyncio.create_task(wait_alone())})
            await end([])
        return heard

    assert asyncio.run(main()) == []
