"""helpers/engines/keeper.py: nothing of an engine outlives who started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from helpers.engines.keeper import KEPT_LINES, LONGEST_LINE, Keeper
from helpers.engines.keeper_process import descendants
from tests.test_child import alive

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix only")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux's own")

# An engine that forks a child and, as daemons do, a grandchild in a session of its
# own, whose parent ends; then it tells the three process ids.
FORKS = """
import os, subprocess, sys, time
sleeper = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleeper)
told, tell = os.pipe()
if os.fork() == 0:
    daemon = subprocess.Popen(sleeper, start_new_session=True)
    os.write(tell, str(daemon.pid).encode())
    os._exit(0)
os.wait()
print(os.getpid(), child.pid, int(os.read(told, 20)), flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
POLITE = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: (print("bye", flush=True), sys.exit(7)))
print("ready", flush=True)
time.sleep(600)
"""
# A kernel that keeps an engine, tells where and who, and waits to be killed.
KERNEL = """
import sys, time
from tests.test_engines_keeper import start
from helpers.engines.keeper import Keeper
keeper = Keeper()
start(keeper, {program!r})
while not keeper.log:
    time.sleep(0.01)
if {killed}:
    keeper.kill()
print(keeper.folder, flush=True)
print(keeper.log[0], flush=True)
sys.stdin.read()
"""


def start(keeper: Keeper, code: str, quit_by: int = signal.SIGTERM) -> int:
    argv = [sys.executable, "-S", "-c", code]
    return keeper.start(argv, env=dict(os.environ), quit_by=quit_by, patience=1.0)


def shared_memory() -> set[int]:
    """The ids of the System V segments of this machine."""
    rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {int(row.split()[1]) for row in rows}


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with contextlib.closing(Keeper()) as keeper:
        yield keeper


@pytest.fixture
def family(keeper, wait_until) -> list[int]:
    """The process ids of an engine, its child, and its daemon."""
    start(keeper, FORKS)
    wait_until(lambda: keeper.log, patience=30)
    family = [int(pid) for pid in keeper.log[0].split()]
    assert all(map(alive, family))
    return family


def test_runs_a_program_in_a_folder_of_its_own(keeper, wait_until):
    """Nobody else may look into it."""
    start(keeper, "import os; print(os.getcwd())")
    wait_until(lambda: keeper.poll() == 0, patience=30)
    keeper.catch_up()
    assert list(keeper.log) == [str(keeper.folder.resolve())]
    assert keeper.folder.stat().st_mode & 0o077 == 0


def test_tells_the_exit_code(keeper, wait_until):
    """None while it runs, then its own; minus the signal that ended it."""
    pid = start(keeper, "import time; time.sleep(600)")
    assert keeper.poll() is None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: keeper.poll() == -signal.SIGKILL)
    start(keeper, "raise SystemExit(7)")
    wait_until(lambda: keeper.poll() == 7, patience=30)


def test_a_program_that_is_missing_is_named(keeper):
    """And the keeper goes on."""
    with pytest.raises(OSError, match="/no/such/program"):
        keeper.start(["/no/such/program"], env={}, quit_by=15, patience=1)
    assert start(keeper, "pass") > 0


def test_kill_reaches_all_that_it_forked(keeper, family):
    """The daemon too, on Linux, and at once; the folder stays."""
    (keeper.folder / "data").touch()
    keeper.kill()
    gone = family if sys.platform == "linux" else family[:2]
    assert not any(map(alive, gone))
    assert keeper.poll() == -signal.SIGKILL
    assert (keeper.folder / "data").exists()


@pytest.mark.parametrize("how", ["closed", "asked to end", "started again"])
def test_the_end_leaves_none_of_the_family(keeper, family, how):
    """However it comes about."""
    if how == "closed":
        keeper.close()
    elif how == "asked to end":
        keeper.end()
    else:
        start(keeper, "pass")
    gone = family if sys.platform == "linux" else family[:2]
    assert not any(map(alive, gone))


def test_the_end_is_asked_for_in_the_engines_own_way(keeper, wait_until):
    """By the signal that it wants, and it has time to end in good order."""
    start(keeper, POLITE, quit_by=signal.SIGUSR1)
    wait_until(lambda: keeper.log, patience=30)
    keeper.end()
    keeper.catch_up()
    assert (list(keeper.log), keeper.poll()) == (["ready", "bye"], 7)


def test_who_does_not_listen_is_made_to_end(keeper, wait_until):
    """By SIGKILL, once its patience is over."""
    start(keeper, STUBBORN)
    wait_until(lambda: keeper.log, patience=30)
    keeper.end()
    assert keeper.poll() == -signal.SIGKILL


def test_close_removes_the_folder(keeper):
    """Idempotent."""
    (keeper.folder / "data").write_text("x")
    keeper.close()
    keeper.close()
    assert not keeper.folder.exists()


@contextlib.contextmanager
def kernel(program: str, killed: bool = False) -> Iterator[tuple[Callable, Path, str]]:
    """Its ``kill``, the folder of its engine, and what that printed first."""
    code = KERNEL.format(program=program, killed=killed)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        folder, said = Path(parent.stdout.readline().strip()), parent.stdout.readline()
        assert folder.is_dir()
        yield parent.kill, folder, said
        parent.kill()


@pytest.mark.parametrize("program", [FORKS, STUBBORN], ids=["forks", "stubborn"])
def test_all_goes_with_a_kernel_that_is_killed(program, wait_until):
    """SIGKILL lets nobody clean up: neither a process nor a folder stays."""
    with kernel(program) as (kill, folder, said):
        family = [int(word) for word in said.split() if word.isdigit()]
        kill()
        wait_until(lambda: not folder.exists())
        gone = family if sys.platform == "linux" else family[:2]
        assert not any(map(alive, gone))


def test_the_folder_of_a_dead_engine_goes_with_the_kernel(wait_until):
    """The keeper outlives the engine, for it may be started again."""
    with kernel(STUBBORN, killed=True) as (kill, folder, _):
        kill()
        wait_until(lambda: not folder.exists())


@LINUX
def test_the_engine_ends_when_its_keeper_is_killed(keeper, wait_until):
    """Nobody is left to end it, so that the system does."""
    pid = start(keeper, "import time; time.sleep(600)")
    os.kill(keeper._process.pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid))
    assert keeper.poll() is not None


@LINUX
def test_shared_memory_of_the_killed_is_given_back(keeper, wait_until):
    """System V segments outlive who made them (shmctl(2))."""
    before = shared_memory()
    # shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600)
    code = "import ctypes, time; print(ctypes.CDLL(None).shmget(0, 4096, 0o1600))"
    start(keeper, f"{code}; import sys; sys.stdout.flush(); time.sleep(600)")
    wait_until(lambda: keeper.log, patience=30)
    made = int(keeper.log[0])
    assert made in shared_memory() - before
    keeper.kill()
    assert made not in shared_memory()


def test_the_log_is_bounded(keeper, wait_until):
    """In lines, and each line in bytes."""
    start(keeper, f"print('x' * 9999)\nfor n in range({2 * KEPT_LINES}): print(n)")
    wait_until(lambda: keeper.poll() == 0, patience=30)
    keeper.catch_up(patience=30)
    assert len(keeper.log) == KEPT_LINES
    assert keeper.log[-1] == str(2 * KEPT_LINES - 1)
    start(keeper, "print('x' * 9999)")
    wait_until(lambda: keeper.poll() == 0, patience=30)
    keeper.catch_up(patience=30)
    assert [len(line) for line in keeper.log] == [LONGEST_LINE, LONGEST_LINE, 1807]


def test_an_unread_answer_is_not_taken_for_the_next(keeper):
    """An interrupt may come between a question and its answer."""
    keeper._process.stdin.write(b'{"id": -1, "do": "poll"}\n')
    pid = start(keeper, "import time; time.sleep(600)")
    assert psutil.Process(pid).ppid() == keeper._process.pid


def test_descendants_are_children_and_their_children():
    """As psutil sees them."""
    argv = [sys.executable, "-S", "-c", "input()"]
    code = f"import subprocess; subprocess.run({argv!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        end = time.monotonic() + 30
        while len(descendants(child.pid)) < 1 and time.monotonic() < end:
            time.sleep(0.01)
        theirs = {p.pid for p in psutil.Process(child.pid).children(recursive=True)}
        assert descendants(child.pid) == theirs != set()
        assert theirs | {child.pid} <= descendants(os.getpid())
        child.communicate(b"\n")
