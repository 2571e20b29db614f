"""What this machine has for the workbook, and the cure for what it lacks.

    python3 workbook.py doctor      in a terminal
    doctor.examine()                in a notebook: a table

Only the standard library at import, because a doctor must also run where
something is missing. Nothing here names a path, so its table can be stored.
"""

from __future__ import annotations

import html
import importlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from helpers.engines.sources import SOURCES, Source

__all__ = ["TOOLS", "Finding", "Report", "Tool", "examine"]

State = Literal["ok", "warning", "missing"]

SET_UP = "python3 workbook.py doctor sets it up"
PACKAGES = ["jupyterlab", "ipykernel", "ipywidgets", "httpx", "aiohttp", "websockets"]
PACKAGES += ["matplotlib", "numpy", "nbval", "pytest"]

# A notebook takes under 1 GiB, and Binder gives 2.
MEMORY = 1024**3
# A thousand connections, both ends in one kernel, and room for the rest.
OPEN_FILES = 4096
CORES = 2

MARKS = {"ok": "✔", "warning": "–", "missing": "✘"}


@dataclass(frozen=True)
class Finding:
    """One row: what was looked for, how it is, what was found, and what helps.

    ``missing`` is what the workbook can not do without; with a ``warning`` most
    of it runs.
    """

    name: str
    state: State
    found: str
    cure: str = ""

    def __str__(self) -> str:
        row = f"{MARKS[self.state]} {self.name:<16} {self.found}"
        return f"{row}. {self.cure}" if self.cure else row


class Report(list[Finding]):
    """The findings; prints one line each, and is a table in a notebook."""

    @property
    def healthy(self) -> bool:
        """Whether nothing that the workbook needs is missing."""
        return not any(finding.state == "missing" for finding in self)

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(map(_html_row, self))
        head = "".join(
            f"<th style='text-align:left'>{title}</th>"
            for title in ["", "what", "here", "what helps"]
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _html_row(finding: Finding) -> str:
    mark = f"<span title='{finding.state}'>{MARKS[finding.state]}</span>"
    texts = [finding.name, finding.found, finding.cure]
    cells = [mark, *(html.escape(text) for text in texts)]
    return (
        "<tr>"
        + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def examine_engine(source: Source) -> Finding:
    """Whether a real engine is here: a package, a program, or one that runs."""
    if source.address():
        return Finding(source.name, "ok", f"the one that {source.variable} names")
    if source.version():
        return Finding(source.name, "ok", f"{source.package} {source.version()}")
    if next(source.programs(), None):
        return Finding(source.name, "ok", f"the system's {source.program}")
    return Finding(source.name, "warning", "not here", source.cure)


@dataclass(frozen=True)
class Tool:
    """A program that some experiment or test looks at the servers with."""

    name: str
    use: str
    programs: tuple[str, ...]  # any of these
    cure: str

    def examine(self) -> Finding:
        program = next(filter(shutil.which, self.programs), None)
        if program:
            return Finding(self.name, "ok", f"the system's {program}")
        return Finding(self.name, "warning", f"not here: {self.use}", self.cure)


TOOLS = [
    Tool(
        "chromium",
        "the browser tests are skipped",
        ("chromium", "chromium-browser", "google-chrome"),
        "apt install chromium, or install Chrome",
    ),
    Tool(
        "dig",
        "tests ask the resolver in Python only",
        ("dig",),
        "apt install bind9-dnsutils, or brew install bind",
    ),
    Tool(
        "wrk",
        "benchmarks that compare with it do not run",
        ("wrk",),
        "apt install wrk, or brew install wrk",
    ),
    Tool(
        "socat",
        "benchmarks that compare with it do not run",
        ("socat",),
        "apt install socat, or brew install socat",
    ),
]


def examine() -> Report:
    """Look at this machine; takes about 0.1 s and starts nothing."""
    return Report(
        [
            examine_python(),
            examine_packages(),
            examine_helpers(),
            examine_cores(),
            examine_memory(),
            examine_open_files(),
            *map(examine_engine, SOURCES.values()),
            *(tool.examine() for tool in TOOLS),
        ]
    )


def examine_python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 11):  # noqa: UP036 -- this is who tells
        return Finding("Python", "ok", version)
    return Finding("Python", "missing", version, "The workbook needs 3.11 or newer")


def examine_packages() -> Finding:
    absent = [name for name in PACKAGES if _version(name) is None]
    if absent:
        found = f"without {', '.join(absent)}"
        return Finding("packages", "missing", found, SET_UP)
    versions = (f"{name} {_version(name)}" for name in PACKAGES)
    return Finding("packages", "ok", ", ".join(versions))


def examine_helpers() -> Finding:
    try:
        importlib.import_module("helpers.server")
    except ImportError as error:
        found = f"can not be imported: no {error.name}"
        return Finding("helpers", "missing", found, SET_UP)
    return Finding("helpers", "ok", "can be imported")


def examine_cores() -> Finding:
    # The cores that we may use, which are fewer in a container.
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Linux only
        cores = os.cpu_count() or 1
    if cores < CORES:
        cure = "Timings will be noisier, the claims hold all the same"
        return Finding("CPU cores", "warning", str(cores), cure)
    return Finding("CPU cores", "ok", str(cores))


def examine_memory() -> Finding:
    """Free memory, in GiB; in a container, what is left of its limit."""
    try:
        import psutil
    except ImportError:
        return Finding("free memory", "warning", "not known without psutil", SET_UP)
    free = min(psutil.virtual_memory().available, _free_in_cgroup())
    found = f"{free / 1024**3:.1f} GiB"
    if free < MEMORY:
        cure = "Close other programs or kernels: a notebook takes up to 1 GiB"
        return Finding("free memory", "warning", found, cure)
    return Finding("free memory", "ok", found)


def _free_in_cgroup(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """What the limit of our control group leaves (cgroup v2), in bytes."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        statistics = (folder / "memory.stat").read_text()
    except (OSError, ValueError):
        return float("inf")
    if limit == "max":
        return float("inf")
    # The page cache counts as used, but is given back on demand.
    cache = re.search(r"^inactive_file (\d+)$", statistics, re.MULTILINE)
    return int(limit) - used + (int(cache[1]) if cache else 0)


def examine_open_files() -> Finding:
    """How many files and sockets a process may have open."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return Finding("open files", "ok", "no limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return Finding("open files", "ok", "no limit")
    if soft >= OPEN_FILES:
        return Finding("open files", "ok", f"{soft:,}")
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    cure = f"ulimit -n {most}, in the terminal that then starts the workbook"
    return Finding("open files", "warning", f"{soft:,}", cure)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    report = examine()
    print(report)
    sys.exit(0 if report.healthy else 1)
