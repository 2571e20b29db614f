"""The files that set the workbook up agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers import authoring

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines]


def pinned_version(pin: Requirement) -> str:
    [specifier] = pin.specifier
    assert specifier.operator == "==", f"{pin} is not pinned"
    return specifier.version


@pytest.mark.parametrize("dependency", PYPROJECT["project"]["dependencies"])
def test_each_dependency_is_pinned_within_its_range(dependency):
    """requirements.txt has, for each range in pyproject.toml, a version in it."""
    wanted = Requirement(dependency)
    name = canonicalize_name(wanted.name)
    versions = [pinned_version(pin) for pin in pins() if pin.name == name]
    assert versions, f"{name} is not in requirements.txt: compile it anew"
    assert all(map(wanted.specifier.contains, versions))


def test_compiling_changes_nothing(tmp_path):
    """`uv pip compile` finds requirements.txt in step with pyproject.toml."""
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        pytest.skip("set up by pip: without uv there is nothing to compile with")
    compiled = tmp_path / "requirements.txt"
    before = (ROOT / "requirements.txt").read_text()
    compiled.write_text(before)  # uv keeps the versions that it finds there
    command = f"""{uv} pip compile --quiet --universal --no-header --no-annotate
        --no-emit-index-url --python-version 3.11 pyproject.toml -o {compiled}"""
    ended = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True)
    if ended.returncode and not os.environ.get("CI"):
        pytest.skip(f"uv can not compile here, offline perhaps: {ended.stderr}")
    assert ended.returncode == 0, ended.stderr
    assert compiled.read_text() == before


def test_binder_takes_the_conda_build_pack():
    """repo2docker accepts the repository and builds it from environment.yml."""
    ended = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    dockerfile = ended.stdout
    # Only that build pack updates its environment from this file.
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"' in dockerfile
    assert "python=3.11" in ended.stderr
    assert "rabbitmq-server" in dockerfile, "apt.txt was not taken"
    assert "./postBuild" in dockerfile


def test_the_badge_of_the_readme_has_the_one_address():
    """README.md opens 00-start-here at the repository that pyproject.toml names."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = authoring.BADGE.findall(readme)
    assert found == [authoring.badge(authoring.START)], "run workbook.py badges"


def test_readme_links_to_what_exists():
    """Each relative link in README.md and CONTRIBUTING.md leads to a file."""
    for page in ["README.md", "CONTRIBUTING.md"]:
        text = (ROOT / page).read_text(encoding="utf-8")
        targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        missing = [target for target in targets if not (ROOT / target).exists()]
        assert not missing, f"{page} links to {missing}"
