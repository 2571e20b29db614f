"""helpers.measure.memory"""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from helpers.measure.memory import memory_of, rss

MEGABYTE = 1_000_000
CHILD = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    data = b"x" * int(line)   # written to, so that it is in RAM
    print("has it", flush=True)
"""


@pytest.fixture
def child():
    """A process that takes as many bytes as it is told."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", CHILD], **pipes) as process:
        process.stdout.readline()
        yield process
        process.kill()


def take(child: subprocess.Popen, size: int) -> None:
    child.stdin.write(f"{size}\n")
    child.stdin.flush()
    child.stdout.readline()


def test_rss_is_in_bytes_and_grows_with_what_is_kept():
    """Of this process, by psutil's word; and 50 MB are seen."""
    before = rss()
    kept = b"x" * (50 * MEGABYTE)
    after = rss()
    assert after - before > 40 * MEGABYTE, len(kept)
    assert rss(os.getpid()) > psutil.Process().memory_info().rss / 2


def test_the_growth_of_a_child_is_its_peak(child, wait_until):
    """Also of what it has given back by the end of the block."""
    with memory_of(child.pid) as memory:
        take(child, 50 * MEGABYTE)
        wait_until(lambda: memory.growth > 40 * MEGABYTE)
        take(child, 1)
    assert 40 * MEGABYTE < memory.growth < 200 * MEGABYTE
    assert memory.peak == memory.before + memory.growth
    assert repr(memory).startswith("<memory ")


def test_a_process_that_ends_meanwhile_keeps_its_figures(child):
    """The peak is what was seen of it."""
    with memory_of(child.pid) as memory:
        child.kill()
        child.wait()
    assert memory.peak >= memory.before > 0


def test_no_such_process_is_named(child):
    """At once, by both."""
    child.kill()
    child.wait()
    with pytest.raises(ProcessLookupError, match=f"no process {child.pid}"):
        rss(child.pid)
    with pytest.raises(ProcessLookupError, match=f"no process {child.pid}"):
        memory_of(child.pid)
