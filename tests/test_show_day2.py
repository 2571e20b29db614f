"""helpers.show.day2"""

import asyncio

import pytest

from helpers.lesson.bystanders import Bystanders
from helpers.lesson.crowd import Crowds, Eight, Visit, Waiting
from helpers.measure import Result
from helpers.servers.concurrency import Handled
from helpers.show import day2


class Guess:
    value = 2.0


def result(clients: int, rate: float) -> Result:
    return Result([0.1] * clients, elapsed=clients / rate)


def crowds(async_rate: float = 1500.0, pool: int | None = None) -> Crowds:
    loop = result(1000, async_rate)
    results = {1: result(10, 9.9), 50: result(500, 480), "async": loop}
    return Crowds("stand-in", pool, results)


def freeze(worst: float) -> tuple[Bystanders, list[tuple[float, float]]]:
    seen = Bystanders(slow=(10.0, 10.5), others=[(9.9, 9.902), (10.01, 10.01 + worst)])
    return seen, [(9.91, 0.001), (10.5, worst)]


def test_a_timeline_counts_from_when_all_asked():
    """In milliseconds, whatever the clock said."""
    handled = [Handled("/", 100.0, 100.1), Handled("/", 100.1, 100.2)]
    chart = day2.timelines({"one thread": Visit(100.0, handled)}, Guess())
    assert chart.facts == {"one thread": "all 2 answered after 200 ms"}


def test_throughput_stands_beside_littles_law():
    """For each number of threads, and behind a pool by the pool."""
    facts = day2.throughput(crowds(), crowds(199, pool=20), guess=Guess()).facts
    free, pooled = "stand-in, unbounded", "stand-in, pool of 20"
    assert facts[f"{free}, 50 threads"].startswith("480 requests/s")
    assert facts[f"{free}, 50 threads"].endswith(" 500")
    assert facts[f"{free}, async"].endswith(" 10,000")
    assert facts[f"{pooled}, async"].startswith("199 requests/s")
    assert facts[f"{pooled}, async"].endswith(" 200")


@pytest.mark.parametrize(("rate", "holds"), [(199, True), (210, False)])
def test_nothing_beats_the_law_unless_it_is_broken(rate, holds):
    """A server that does more than its pool allows is found out."""
    results = {"async": result(1000, rate)}
    assert day2.within_law(Crowds("any", 20, results)) is holds


def test_waits_of_few_clients_are_extrapolated_to_a_thousand():
    """Marked so; those that were a thousand are as measured."""
    rows = day2.crowd_table(crowds(), crowds(199, pool=20)).rows
    assert rows[0][4:] == ["~ 50.5 s", "~ 100 s"]  # 500 and 990, at 9.9 a second
    assert rows[2][4:] == ["0.1 s", "0.1 s"]
    assert [row[0] for row in rows[::3]] == [
        "stand-in, unbounded",
        "stand-in, pool of 20",
    ]


def test_memory_is_told_for_all_and_for_each():
    """Both in units that a person reads."""
    rows = day2.memory_table(Waiting(200, 1000, 20.0, 3.0)).rows
    assert rows == [
        ["threads", 200, 200, "4 MB", "20 kB"],
        ["async", 1, 1000, "3 MB", "3 kB"],
    ]


def test_work_tells_how_long_a_loop_stood_still():
    """Of the servers that have one."""
    rows = {"one thread": Eight(0.5, 1, None), "async": Eight(0.55, 1, 0.4)}
    facts = day2.work(rows, Guess()).facts
    assert list(facts) == ["one thread", "async; longest freeze 400 ms"]


def test_who_was_answered_meanwhile_in_rude_and_in_polite_runs():
    """A run blocks when its path is /sync."""
    runs = {"Python, /sync": freeze(0.5), "Node.js, /async": freeze(0.01)}
    assert day2.answered_meanwhile(runs) == ([0], [1])


def test_the_ledger_gets_what_ran():
    """A language that was not there has no figure."""
    runs = {"Python, /sync": freeze(0.5), "Python, /thread": freeze(0.01)}
    assert day2.blocked_ms(runs) == {"blocked_ms": pytest.approx(500)}
    told = day2.blocked_ms(runs | {"Node.js, /sync": freeze(0.4)})
    assert told["node_blocked_ms"] == pytest.approx(400)


def test_a_freeze_counts_from_the_slow_request():
    """Others and beats in milliseconds; beats outside of the watch left out."""
    seen, beats = freeze(0.5)
    chart = day2.freezes({"Python, /sync": (seen, [*beats, (99.0, 9.0)])}, Guess())
    assert "others waited 500 ms" in chart.facts["Python, /sync"]
    assert "500 ms late at worst" in chart.facts["Python, /sync"]


def test_styles_are_told_with_result_and_error():
    """A row for each, the error of the broken user beside it."""
    rows = day2.styles_table({"Python": {"name": "Ada"}}, {"Python": {"error": "no"}})
    assert rows.rows == [["Python", "name Ada", "no"]]


def test_alone_is_told_in_milliseconds():
    """p50 and p99 of one client."""
    [row] = day2.alone_table({"SyncServer": result(10, 100)}).rows
    assert row == ["SyncServer", 10, pytest.approx(100), pytest.approx(100)]


def test_a_pool_explored_keeps_to_littles_law():
    """No more answers than the law allows, and most of those."""
    experiment = day2.explore_pool().runner.experiment
    told = []
    chart = asyncio.run(
        experiment(pool=5, query=20, clients=10, report=lambda *it: told.append(it))
    )
    assert "From 5 clients on" in chart.title
    low, high = (
        chart.facts["measured, stand-in"].removeprefix("answers/s from ").split(" to ")
    )
    assert float(low) <= 1.02 * 50
    assert float(high) <= 1.02 * 250
    assert told


def test_tables_are_alike_when_each_holds_one_value():
    """They may differ from each other, but not within."""
    same = {"a": {"n": 1}, "b": {"n": 1}}
    other = {"a": {"n": 2}, "b": {"n": 2}}
    assert day2.alike(same, other)
    assert not day2.alike(same, {"a": {"n": 1}, "b": {"n": 2}})
