"""helpers.measure.memory_parts"""

from __future__ import annotations

import math
import os
import sys

import psutil
import pytest

from helpers.measure import memory_parts
from helpers.measure.memory_parts import (
    available,
    kernel_memory,
    kernel_source,
    private,
)

SLABINFO = """slabinfo - version: 2.1
# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables
TCPv6                 26     26   2496   13    8 : tunables    0    0    0
TCP                   10     20   2000   13    8 : tunables    0    0    0
eventpoll_epi         10     10    100   32    1 : tunables    0    0    0
sock_inode_cache      10     20    800   19    4 : tunables    0    0    0
filp                3371   4158    200   21    1 : tunables    0    0    0
dentry            176737 177807    200   21    1 : tunables    0    0    0
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A made-up /proc and /sys/fs/cgroup: ``machine(path, text)`` writes a file."""

    def write(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    monkeypatch.setattr(memory_parts, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory_parts, "CGROUP", tmp_path / "cgroup")
    return write


def test_the_slabs_of_sockets_are_the_best_source(machine):
    """A socket has one dentry and one file; those of others do not count."""
    machine("proc/slabinfo", SLABINFO)
    machine("proc/meminfo", "Slab: 1000 kB\n")
    assert kernel_source() == "sockets"
    assert kernel_memory() == 20 * 2000 + 10 * 100 + 20 * (800 + 200 + 200)


def test_a_slab_that_is_missing_is_not_taken_for_empty(machine):
    """The kernel may keep two kinds in one."""
    machine("proc/slabinfo", SLABINFO.replace("eventpoll_epi", "kmalloc-128  "))
    machine("proc/meminfo", "MemTotal: 5 kB\nSlab:  1000 kB\n")
    assert kernel_source() == "machine"
    assert kernel_memory() == 1000 * 1024


def test_a_container_knows_its_own(machine):
    """At the root that it sees, or at the path that it is told."""
    machine("proc/self/cgroup", "0::/\n")
    machine("proc/meminfo", "Slab: 1000 kB\n")
    machine("cgroup/memory.stat", "anon 5\nslab 700\nsock 80\n")
    assert (kernel_source(), kernel_memory()) == ("container", 780)
    machine("proc/self/cgroup", "1:cpu:/\n0::/user/me\n")
    machine("cgroup/user/me/memory.stat", "slab 7\nsock 8\n")
    assert (kernel_source(), kernel_memory()) == ("container", 15)


def test_tcp_buffers_count(machine):
    """In pages, in /proc/net/sockstat."""
    machine("proc/meminfo", "Slab: 1 kB\n")
    page = os.sysconf("SC_PAGE_SIZE")
    machine("proc/net/sockstat", "sockets: used 5\nTCP: inuse 2 orphan 0 tw 3 mem 7\n")
    assert kernel_memory() == 1024 + 7 * page


def test_where_nothing_tells_it_is_not_a_number(machine):
    """As on macOS: never zero, which would be a claim."""
    assert kernel_source() == "unknown"
    assert math.isnan(kernel_memory())


@pytest.mark.parametrize(
    ("limit", "used"),
    [
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ],
)
def test_a_limit_bounds_what_is_available(machine, limit, used):
    """Of either version of cgroups; ``max`` is no limit, and less than none is none."""
    machine(f"cgroup/{limit}", "5000\n")
    machine(f"cgroup/{used}", "2000\n")
    assert available() == 3000
    machine(f"cgroup/{used}", "6000\n")
    assert available() == 0
    machine(f"cgroup/{limit}", "max\n")
    assert available() > 1_000_000


def test_private_memory_grows_with_what_is_kept():
    """And is no more than what is resident."""
    before = private()
    kept = b"x" * 50_000_000
    assert private() - before > 40_000_000, len(kept)
    process = psutil.Process()
    assert private(process.pid) <= process.memory_info().rss + 5_000_000


def test_no_such_process_is_named():
    """By its number."""
    with pytest.raises(ProcessLookupError, match="no process 4194000"):
        private(4194000)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_this_machine_tells():
    """From one source or another."""
    assert kernel_source() in {"sockets", "container", "machine"}
    assert kernel_memory() > 0
