"""helpers/child.py: processes that end when their parent ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from helpers import child

FOREVER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(600)",
]
NEEDS_PRCTL = pytest.mark.skipif(not child.LINUX, reason="prctl is Linux's")
LAUNCHERS = pytest.mark.parametrize(
    "linux",
    [
        pytest.param(True, id="prctl", marks=NEEDS_PRCTL),
        pytest.param(False, id="watch"),
    ],
)
# A parent that starts a child, tells its pid, and waits to be killed.
PARENT = """
import sys
from helpers import child
child.LINUX = {linux}
program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
child.spawn([sys.executable, "-S", "-c", program])
sys.stdin.read()
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@LAUNCHERS
def test_a_child_dies_with_its_parent(linux, wait_until):
    """SIGKILL of the parent, which runs no handler, ends the child as well."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(linux=linux)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        wait_until(lambda: not alive(pid), patience=2)


@LAUNCHERS
def test_a_child_has_a_session_of_its_own(linux, monkeypatch):
    """A kernel interrupt goes to the kernel's group, where the child is not."""
    monkeypatch.setattr(child, "LINUX", linux)
    process = child.spawn(FOREVER)
    try:
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
    finally:
        child.end(process)


def test_a_child_outlives_the_thread_that_started_it():
    """The parent-death signal of prctl is about threads; ours is about processes."""
    started = []
    thread = threading.Thread(target=lambda: started.append(child.spawn(FOREVER)))
    thread.start()
    thread.join()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            started[0].wait(timeout=0.3)
    finally:
        child.end(started[0])


@LAUNCHERS
def test_a_child_may_read_and_write(linux, monkeypatch):
    """What goes to Popen arrives: pipes, environment."""
    monkeypatch.setattr(child, "LINUX", linux)
    code = "import os; print(os.environ['WORD'])"
    process = child.spawn(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env=os.environ | {"WORD": "hello"},
    )
    with process.stdout:
        assert process.stdout.read() == b"hello\n"
    assert child.end(process) == 0


@LAUNCHERS
def test_the_exit_code_is_the_programs(linux, monkeypatch):
    """Whoever stands between passes it on."""
    monkeypatch.setattr(child, "LINUX", linux)
    process = child.spawn([sys.executable, "-S", "-c", "raise SystemExit(7)"])
    assert process.wait(timeout=30) == 7
    child.end(process)


@pytest.mark.parametrize("name", ["no-such-program", "/no/such/program"])
def test_a_missing_program_is_named(name):
    """The error says what is missing, and comes before anything is started."""
    with pytest.raises(FileNotFoundError, match=name):
        child.spawn([name, "--version"])


@LAUNCHERS
def test_end_is_idempotent(linux, monkeypatch):
    """A second end() finds nothing to do and tells the same exit code."""
    monkeypatch.setattr(child, "LINUX", linux)
    process = child.spawn(FOREVER)
    assert child.end(process) == child.end(process)
    assert process.poll() is not None


@LAUNCHERS
def test_end_ends_a_program_that_ignores_the_request(linux, monkeypatch):
    """SIGTERM first; SIGKILL when patience is over."""
    monkeypatch.setattr(child, "LINUX", linux)
    process = child.spawn(STUBBORN, stdout=subprocess.PIPE)
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        assert child.end(process, patience=0.2) == -signal.SIGKILL


@LAUNCHERS
def test_end_ends_the_programs_own_children(linux, monkeypatch, wait_until):
    """The whole group is asked, as a program may be a script that starts another."""
    monkeypatch.setattr(child, "LINUX", linux)
    code = (
        "import subprocess, sys;"
        f"p = subprocess.Popen({FOREVER!r}); print(p.pid, flush=True); p.wait()"
    )
    process = child.spawn([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with process.stdout:
        grandchild = int(process.stdout.readline())
        child.end(process)
    wait_until(lambda: not alive(grandchild))
