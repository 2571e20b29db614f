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
ATTEMPTS = 3  # on a busy machine one run may be unlucky


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


def ratio(module: str, attempt: int) -> float:
    """The whole cost over that of what is not ours, within one run."""
    times = import_times(module, attempt)
    needed = sum(own for name, own in times if name.split(".")[0] != "helpers")
    return sum(own for _, own in times) / needed


@pytest.mark.parametrize("module", ROOMS)
def test_our_own_part_of_an_import_is_small(module):
    """At most 1.3 times the cost of importing the packages that it needs."""
    assert any(ratio(module, attempt) <= 1.3 for attempt in range(ATTEMPTS))


@pytest.mark.parametrize("module", [room for room in ROOMS if room not in DRAWS])
def test_what_does_not_draw_does_not_import_what_draws(module):
    """Neither matplotlib nor ipywidgets nor IPython."""
    loaded = {name.split(".")[0] for name, _ in import_times(module, 0)}
    assert not loaded & {"matplotlib", "ipywidgets", "IPython"}
