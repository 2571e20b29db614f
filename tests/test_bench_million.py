"""tests.benchmarks.bench_million, with a crowd that is no burden"""

from __future__ import annotations

import json
import sys

import psutil
import pytest

from helpers.lesson.million import Held, million, store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it runs on Linux")
if sys.platform == "linux":
    from tests.benchmarks import bench_million, million_limits
    from tests.benchmarks.million_limits import Plan, make_plan, obstacles

RUN = Held(
    server="one",
    connections=1000,
    errors=0,
    processes=2,
    open_seconds=0.5,
    kernel_bytes=8_000_000,
    server_bytes=1_500_000,
    client_bytes=500_000,
    taken_bytes=11_000_000,
    asked=10,
    echoed=10,
    heard=1000,
    broadcast_seconds=0.25,
    close_seconds=0.1,
)


@pytest.fixture
def hard_limit(monkeypatch):
    """``hard_limit(n)``: what a process may have of descriptors, or of processes."""

    def limit(hard: int) -> None:
        monkeypatch.setattr(
            million_limits.resource, "getrlimit", lambda _: (hard, hard)
        )

    return limit


def test_two_servers_hold_a_small_crowd(capsys):
    """All are there, a sample echoes, all hear the broadcast; and nothing is left."""
    before = set(psutil.Process().children())
    plan = make_plan(600)
    for name, kind in bench_million.SERVERS.items():
        held = bench_million.run(name, kind, plan)
        assert bench_million.complete(held, plan), held
        assert held.asked >= 6
        assert held.server_bytes > 0 < held.client_bytes
        assert "600, 0 errors" in str(held)
    assert set(psutil.Process().children()) <= before


def test_the_shares_add_up_and_fit(hard_limit):
    """No process gets more than its descriptors, no address more than its ports."""
    hard_limit(20_000)
    for connections in (2, 3, 999, 100_000, 1_000_000):
        plan = make_plan(connections)
        assert sum(plan.shares) == connections
        assert max(plan.shares) <= 20_000 - million_limits.DESCRIPTORS_SPARE
        assert max(plan.shares) / plan.sources < 14_200


def test_no_two_clients_share_an_address():
    """All are of 127.0.0.0/8, and none is the servers'."""
    plan = Plan(1_000_000, 53, 3)
    sources = [
        source for index in range(53) for source in bench_million.addresses(index, plan)
    ]
    assert len(set(sources)) == 53 * 3
    assert all(source.startswith("127.1.") for source in sources)
    assert all(int(part) < 255 for source in sources for part in source.split("."))


@pytest.mark.parametrize(
    ("file", "text", "cure"),
    [
        ("file-nr", "1000 0 5000", "sysctl fs.file-max=2"),
        ("max_user_watches", "5000", "sysctl fs.epoll.max_user_watches=1000000"),
    ],
)
def test_each_limit_of_the_system_has_its_cure(monkeypatch, file, text, cure):
    """As the command that sets it."""
    real = million_limits._numbers

    def numbers(path: str) -> tuple[int, ...]:
        return tuple(map(int, text.split())) if path.endswith(file) else real(path)

    monkeypatch.setattr(million_limits, "_numbers", numbers)
    monkeypatch.setattr(million_limits, "available", lambda: 1 << 60)
    assert any(cure in each for each in obstacles(make_plan(1_000_000)))


def test_too_few_descriptors_or_processes_have_their_cure(hard_limit, monkeypatch):
    """`ulimit` does it."""
    monkeypatch.setattr(million_limits, "available", lambda: 1 << 60)
    hard_limit(1024)
    found = " ".join(obstacles(make_plan(1_000_000)))
    assert "ulimit -Hn 20000" in found and "ulimit -u" in found
    hard_limit(100)
    assert "100 file descriptors" in " ".join(obstacles(make_plan(1000)))


def test_too_little_memory_says_what_would_fit(monkeypatch, capsys):
    """And nothing is started."""
    monkeypatch.setattr(million_limits, "available", lambda: 2_000_000_000)
    monkeypatch.setattr(bench_million, "run", pytest.fail)
    assert bench_million.main(["--connections", "1000000", "--yes"]) == 1
    said = capsys.readouterr().out
    assert "2 GB are free" in said
    fits = int(said.split("or hold ")[1].split(" ")[0].replace(",", ""))
    monkeypatch.undo()
    monkeypatch.setattr(million_limits, "available", lambda: 2_000_000_000)
    assert not any("memory" in each for each in obstacles(make_plan(fits)))


def test_it_asks_before_it_takes_the_memory(monkeypatch, capsys):
    """Whoever sits there; and a no is a no."""
    monkeypatch.setattr(bench_million, "run", pytest.fail)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert bench_million.main(["--connections", "1000"]) == 0
    assert "MB of memory" in capsys.readouterr().out


def test_what_is_missing_makes_it_incomplete():
    """One connection, one echo, one error: the benchmark fails."""
    from dataclasses import replace

    plan = Plan(1000, 2, 1)
    assert bench_million.complete(RUN, plan)
    for change in (
        {"connections": 999},
        {"heard": 999},
        {"echoed": 9},
        {"asked": 0, "echoed": 0},
        {"errors": 1},
    ):
        assert not bench_million.complete(replace(RUN, **change), plan), change


def test_a_result_is_stored_and_says_what_it_held(tmp_path):
    """In bytes and seconds; what is shown is made from them."""
    path = tmp_path / "new" / "million.json"
    store([RUN], "a machine", path)
    document = json.loads(path.read_text())
    assert Held(**document["runs"][0]) == RUN
    assert RUN.bytes == 10_000_000 and RUN.bytes_each == 10_000
    assert RUN.per_second == 2000
    assert "8 MB, 8 kB each" in str(RUN)


def test_the_stored_runs_held_a_million():
    """What the notebook and the README cite: both servers, without an error."""
    runs = million()
    assert {held.server for held in runs} == set(bench_million.SERVERS)
    for held in runs:
        assert bench_million.complete(held, Plan(1_000_000, held.processes, 1)), held
