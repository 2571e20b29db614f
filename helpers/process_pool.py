"""A pool of processes for a notebook: interrupts pass it by, and it ends with us.

    with process_pool(workers=2) as pool:
        await loop.run_in_executor(pool, count_primes, 50_000)

It is a concurrent.futures.ProcessPoolExecutor. Left to itself, one would lose its
workers to the kernel's interrupt, which goes to all processes of the kernel's group;
and they would outlive a kernel that is killed, for each waits on a pipe that the
others hold open too.

Python starts a resource tracker beside the first pool of a process. It stays when the
pool has ended, idle and deaf to interrupts, and ends with the process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

__all__ = ["process_pool"]


@contextmanager
def process_pool(workers: int = 2) -> Iterator[ProcessPoolExecutor]:
    """``workers`` processes, all started when this returns.

    They run functions of modules: what a cell defines is not known to them, and
    ``submit`` then raises ValueError. At the end of the block work under way is waited
    for, as always; when an error or an interrupt ends it, the workers are killed.

    Raises ValueError when ``workers`` is not a whole number from 1.
    """
    if not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers must be a whole number from 1, not {workers!r}")
    # fork would copy a process that has threads, and the locks that they hold.
    context = multiprocessing.get_context("spawn")
    begin = context.Event()
    pool = _Pool(
        workers, mp_context=context, initializer=_become_worker, initargs=[begin]
    )
    try:
        _start_workers(pool, workers, begin)
        yield pool
        pool.shutdown()
    except BaseException:
        _kill_workers(pool)
        raise
    finally:
        pool.shutdown()


class _Pool(ProcessPoolExecutor):
    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        if getattr(fn, "__module__", None) == "__main__" and _in_notebook():
            # The worker that did not find it would end, and break the whole pool.
            raise ValueError(
                f"{getattr(fn, '__qualname__', fn)} is defined in a cell, and a worker "
                "can not import it: put it into a module, as helpers/servers/primes.py"
            )
        return super().submit(fn, *args, **kwargs)


def _in_notebook() -> bool:
    """Or at a prompt: a worker imports a script's functions from its file."""
    return not hasattr(sys.modules["__main__"], "__file__")


def _start_workers(pool: ProcessPoolExecutor, workers: int, begin: Event) -> None:
    """A pool starts one for each work that finds no idle worker: let none be idle."""
    with _interrupts_blocked():
        started = [pool.submit(os.getpid) for _ in range(workers)]
    begin.set()
    for worker in started:
        worker.result()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Whoever starts meanwhile is deaf to them from its first moment on."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill_workers(pool: ProcessPoolExecutor) -> None:
    """Python 3.14 has a public ``kill_workers`` for it."""
    for process in list((pool._processes or {}).values()):
        process.kill()


def _become_worker(begin: Event) -> None:
    """In the worker, before its work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin.wait()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()  # returns when it has ended, however
    os._exit(1)
