"""helpers/process_pool.py, also in a real Jupyter kernel."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from helpers.process_pool import process_pool
from helpers.servers.primes import count_primes
from tests.conftest import holds_within
from tests.test_kernel import Kernel

PARENT = """
import sys, time
from helpers.process_pool import process_pool
with process_pool(workers=2) as pool:
    print(*pool.map(eval, ["__import__('os').getpid()"] * 2), flush=True)
    print(pool.submit(eval, "' '.join(__import__('sys').modules)").result(), flush=True)
    pool.submit(time.sleep, 3600)
    sys.stdin.read()
"""


def workers() -> list[psutil.Process]:
    """The children of this process that belong to a pool; no zombies."""
    found = []
    for process in psutil.Process().children():
        try:
            if "spawn_main" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:  # it has just ended
            continue
    return found


def test_it_runs_functions_of_modules_in_other_processes():
    """From a thread and from a coroutine; and no worker is left."""

    async def from_a_coroutine(pool) -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, count_primes, 100)

    with process_pool(workers=1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()
        assert asyncio.run(from_a_coroutine(pool)) == 25
    assert not workers()


def test_all_workers_run_from_the_start():
    """So that the first work is not measured with their start."""
    with process_pool(workers=3):
        assert len(workers()) == 3
    assert not workers()


def test_a_normal_end_waits_for_the_work():
    """As concurrent.futures does."""
    with process_pool(workers=1) as pool:
        work = [pool.submit(count_primes, 100) for _ in range(10)]
    assert [done.result(timeout=0) for done in work] == [25] * 10


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to one process")
def test_workers_ignore_the_interrupt():
    """Python's own would end, and the pool be broken."""
    with process_pool(workers=2) as pool:
        for _ in range(3):
            for worker in workers():
                worker.send_signal(signal.SIGINT)
            assert pool.submit(count_primes, 100).result() == 25


def test_an_error_in_the_block_ends_work_under_way():
    """The block does not wait for an hour; the error is the one raised."""
    with pytest.raises(LookupError):
        with process_pool(workers=2) as pool:
            for _ in range(4):
                pool.submit(time.sleep, 3600)
            raise LookupError
    assert not workers()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_workers_end_with_a_parent_that_is_killed():
    """Idle or busy; nothing of the parent's outlives it, the tracker neither."""
    with start_parent() as parent:
        pids = parent.stdout.readline().split()
        family = psutil.Process(parent.pid).children(recursive=True)
        assert {int(pid) for pid in pids} <= {process.pid for process in family}
        parent.kill()
    assert holds_within(lambda: not any(map(is_alive, family)), patience=20)


def test_workers_import_nothing_heavy():
    """What a worker needs is in the standard library."""
    with start_parent() as parent:
        parent.stdout.readline()
        loaded = set(parent.stdout.readline().split())
        parent.stdin.close()
        parent.kill()
    assert "helpers.process_pool" in loaded
    assert not loaded & {"numpy", "aiohttp", "httpx", "matplotlib", "IPython"}


def start_parent() -> subprocess.Popen:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", PARENT], **pipes)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2"])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    """With what was given."""
    with pytest.raises(ValueError, match=f"workers must be .* from 1, not {workers!r}"):
        with process_pool(workers=workers):
            pass


# -- in a kernel ---------------------------------------------------------------------

CELL = """
from helpers.process_pool import process_pool
from helpers.servers.primes import count_primes

with process_pool(workers=2) as pool:
    loop = asyncio.get_running_loop()
    counts = [loop.run_in_executor(pool, count_primes, 1000) for _ in range(4)]
    print(await asyncio.gather(*counts))
"""

FROM_A_CELL = """
def work():
    return 1

with process_pool(workers=1) as pool:
    try:
        pool.submit(work)
    except ValueError as error:
        print(error)
    print(pool.submit(count_primes, 10).result())
"""

INTERRUPTED = """
with process_pool(workers=2) as pool:
    pool.submit(time.sleep, 3600)
    print("begun", flush=True)
    await asyncio.sleep(3600)
"""


def test_a_kernel_uses_it(time_unit):
    """Twice, after an interrupt too; a cell's function gets a clear error."""
    kernel = Kernel(time_unit)
    try:
        for _ in range(2):
            assert kernel.run(CELL) == "[168, 168, 168, 168]"
        assert kernel.run(FROM_A_CELL).splitlines() == [
            "work is defined in a cell, and a worker can not import it: "
            "put it into a module, as helpers/servers/primes.py",
            "4",
        ]
        reply, _ = kernel.interrupted(INTERRUPTED)
        assert reply["status"] == "error"
        assert kernel.run(CELL) == "[168, 168, 168, 168]"
        family = psutil.Process(kernel.pid).children(recursive=True)
    finally:
        kernel.close()
    assert holds_within(lambda: not any(map(is_alive, family)), patience=20)
