"""What an import costs: a cell and a child process pay only for what they use."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest

import helpers

HELPERS = Path(helpers.__file__).parent
ROOMS = [
    *("helpers", "helpers.child", "helpers.kernel"),
    *("helpers.server", "helpers.server_process"),
    *sorted(f"helpers.{init.parent.name}" for init in HELPERS.glob("*/__init__.py")),
]
# These draw and ask, and so need a notebook's packages.
DRAWS = {"helpers.lesson", "helpers.show"}
ATTEMPTS = 8  # at most


@functools.cache
def import_times(module: str, attempt: int = 0) -> list[tuple[str, int]]:
    """Each module that ``import module`` loads, with its own time in microseconds."""
    argv = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    report = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    times = []
    for line in report.splitlines():
        if line.startswith("import time:") and "self [us]" not in line:
            own, _, name = line.removeprefix("import time:").split("|")
            times.append((name.strip(), int(own)))
    return times


def ratio(times: dict[str, int]) -> float:
    """The whole cost over that of what is not ours."""
    needed = sum(own for name, own in times.items() if name.split(".")[0] != "helpers")
    return sum(times.values()) / needed


@pytest.mark.parametrize("module", ROOMS)
def test_our_own_part_of_an_import_is_small(module):
    """At most 1.3 times the cost of importing the packages that it needs.

    Each module counts with its best time: on a busy machine any one of them may have
    waited for the processor while it was imported.
    """
    best: dict[str, int] = {}
    for attempt in range(ATTEMPTS):
        for name, own in import_times(module, attempt):
            best[name] = min(own, best.get(name, own))
        if ratio(best) <= 1.3:
            return
    assert ratio(best) <= 1.3


@pytest.mark.parametrize("module", [room for room in ROOMS if room not in DRAWS])
def test_what_does_not_draw_does_not_import_what_draws(module):
    """Neither matplotlib nor ipywidgets nor IPython."""
    loaded = {name.split(".")[0] for name, _ in import_times(module, 0)}
    assert not loaded & {"matplotlib", "ipywidgets", "IPython"}
