"""What all tests share: nothing is left behind, and patience is scaled."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator

import hypothesis
import nbval.kernel
import pytest
from xdist.scheduler import LoadScopeScheduling

from helpers import server

# All patience in the tests is multiplied by this: set it to 5 on a slow machine.
TIME_UNIT = float(os.environ.get("WORKBOOK_TIME_UNIT", "1"))
KERNEL_ATTEMPTS = 3

# The same examples every time, so that a failure replays; and no deadline for one
# of them, because a busy machine is not a fault of ours.
hypothesis.settings.register_profile(
    "workbook", deadline=None, derandomize=True, database=None, print_blob=True
)
hypothesis.settings.load_profile("workbook")


class ByKernel(LoadScopeScheduling):
    """Spreads single tests over the workers, but keeps together what shares a process.

    The cells of a notebook share a kernel, the browser tests a JupyterLab.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        if file.startswith("tests/browser/"):
            return "browser"
        return file if file.endswith(".ipynb") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByKernel:
    return ByKernel(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Let nbval start a kernel again that died because its port was taken.

    Jupyter looks for five free ports, closes them, and its kernel opens them again. A
    test beside it may take one meanwhile, and then the kernel dies at once.
    """
    start = nbval.kernel.start_new_kernel

    def start_patiently(*args: object, **kwargs: object) -> object:
        for _ in range(KERNEL_ATTEMPTS - 1):
            try:
                return start(*args, **kwargs)
            except RuntimeError as error:
                if "Kernel died" not in str(error):
                    raise
        return start(*args, **kwargs)

    nbval.kernel.start_new_kernel = start_patiently


def holds_within(condition: Callable[[], object], patience: float = 5.0) -> bool:
    """Whether ``condition()`` becomes true within ``patience`` seconds, scaled."""
    end = time.monotonic() + patience * TIME_UNIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """``wait_until(condition, patience=5)``: fails when it does not come true."""

    def wait(condition: Callable[[], object], patience: float = 5.0) -> None:
        assert holds_within(condition, patience), f"not within {patience:g} s"

    return wait


@pytest.fixture(scope="session")
def time_unit() -> float:
    """Multiply every time-out of a test by this."""
    return TIME_UNIT


@pytest.fixture(scope="session")
def need_program() -> Callable[..., str]:
    """``need_program("dig")``: its path; skips without it, and fails in CI."""

    def need(*names: str) -> str:
        found = next(filter(None, map(shutil.which, names)), None)
        if found is None:
            message = f"this machine has no {' or '.join(names)}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
        return found

    return need


def lasting_threads() -> set[threading.Thread]:
    """Those that would keep Python from ending, and those of our servers."""
    return {
        thread
        for thread in threading.enumerate()
        if not thread.daemon or thread.name.startswith("server ")
    }


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No server and no thread stays that was not there before the test.

    A fixture of a whole module may have servers: they were there before.
    """
    servers, threads = set(server.running()), lasting_threads()
    yield
    left = set(server.running()) - servers
    assert not left, f"left running: {left}"
    assert holds_within(lambda: lasting_threads() <= threads), (
        f"left running: {lasting_threads() - threads}"
    )
