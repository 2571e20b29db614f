"""helpers.doctor: a row for all that the workbook stands on, each with its cure."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest

from helpers import doctor
from helpers.engines.sources import Source


def by_name() -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine()}


def test_this_environment_is_healthy():
    """All that is needed is here, for the tests run in it."""
    report = doctor.examine()
    assert report.healthy, str(report)


def test_each_row_is_there_once():
    """Python, packages, helpers, the machine, each engine and each tool."""
    names = [finding.name for finding in doctor.examine()]
    assert len(set(names)) == len(names)
    assert {"Python", "packages", "helpers", "free memory", "open files"} <= set(names)
    assert set(doctor.SOURCES) <= set(names)
    assert {tool.name for tool in doctor.TOOLS} <= set(names)


def test_what_is_not_well_has_a_cure(monkeypatch):
    """With nothing on the path every engine and tool that is absent says what helps."""
    monkeypatch.setenv("PATH", "")
    rows = [finding for finding in doctor.examine() if finding.state != "ok"]
    assert {tool.name for tool in doctor.TOOLS} <= {row.name for row in rows}
    assert all(row.cure for row in rows)
    assert doctor.examine().healthy, "an absent tool is no illness"


def test_missing_package_is_an_illness(monkeypatch):
    """It is named, and the report is not healthy."""
    monkeypatch.setattr(doctor, "PACKAGES", ["httpx", "no-such-package"])
    row = doctor.examine_packages()
    assert row.state == "missing"
    assert "no-such-package" in row.found and "httpx" not in row.found
    assert row.cure
    assert not doctor.Report([row]).healthy


def test_engine_is_found_by_its_package():
    """Whatever the package's version is."""
    row = doctor.examine_engine(Source("pytest", day=1, package="pytest"))
    assert (row.state, row.found) == ("ok", f"pytest {pytest.__version__}")


def test_engine_is_found_by_its_program():
    """Where there is no package for this platform, the system's serves."""
    source = Source("shell", day=1, package="no-such-package", program="sh")
    row = doctor.examine_engine(source)
    assert (row.state, row.found) == ("ok", "the system's sh")


def test_engine_is_found_by_its_address(monkeypatch):
    """One that runs elsewhere serves; its address may hold a password: not shown."""
    monkeypatch.setenv("ABACUS_URL", "abacus://me:secret@localhost")
    row = doctor.examine_engine(Source("abacus", day=4, variables=("ABACUS_URL",)))
    assert (row.state, row.found) == ("ok", "the one that ABACUS_URL names")


def test_engine_to_come_says_on_which_day():
    """A learner need not install it today."""
    source = Source("abacus", day=4, package="abacus-wheel", program="abacus")
    row = doctor.examine_engine(source)
    assert row.state == "warning"
    assert "Day 4" in row.cure


def test_missing_engine_says_how_to_get_it():
    """In the same words as the engine itself."""
    source = Source("abacus", day=2, get="install an abacus")
    assert doctor.examine_engine(source).cure == source.cure == "install an abacus"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_few_open_files_are_named_with_the_command(monkeypatch):
    """The cure never asks for more than the hard limit."""
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    row = doctor.examine_open_files()
    assert (row.state, row.found) == ("warning", "256")
    assert row.cure.startswith("ulimit -n 1024")


@pytest.mark.parametrize(
    ("limit", "free"), [("max", math.inf), ("2000", 2000 - 1500 + 300)]
)
def test_memory_of_a_container_is_what_its_limit_leaves(tmp_path, limit, free):
    """The page cache is given back on demand, so it counts as free."""
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("1500\n")
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 300\n")
    assert doctor._free_in_cgroup(tmp_path) == free


def test_memory_outside_a_container_has_no_limit(tmp_path):
    """No control group, no limit."""
    assert doctor._free_in_cgroup(tmp_path) == math.inf


def test_names_no_path_of_this_machine():
    """Its table is stored in a notebook."""
    for text in [str(doctor.examine()), doctor.examine()._repr_html_()]:
        assert not re.search(r"(?<![<\w])/\w", text), text


def test_html_is_escaped():
    """Whatever a version string holds."""
    row = doctor.Finding("<b>", "ok", "1 & 2")
    table = doctor.Report([row])._repr_html_()
    assert "<b>" not in table and "1 &amp; 2" in table


def test_runs_without_third_party_packages():
    """It is called where set-up failed: with only the standard library it reports."""
    ended = subprocess.run(
        [sys.executable, "-S", "-m", "helpers.doctor"], capture_output=True, text=True
    )
    assert ended.returncode == 1, ended.stderr
    assert "✘ packages" in ended.stdout
    assert "Traceback" not in ended.stderr
