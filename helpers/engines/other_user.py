"""Whom an engine runs as, when we are root and it refuses to be.

Containers often run all as root. The engine is then started as ``nobody``, whom
every Unix has, and who must be able to get to its folder and its program.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from helpers.engines.sources import Source

__all__ = ["copy_package", "open_to_all", "ordinary_user", "reachable"]


def ordinary_user() -> str | None:
    """Whom to run as instead of root; None when we are not root."""
    return "nobody" if os.geteuid() == 0 else None


def reachable(path: Path) -> bool:
    """Whether every user can get to ``path``, and run it or search it."""
    way = [path, *path.resolve().parents]
    return all(step.exists() and step.stat().st_mode & 0o001 for step in way)


def open_to_all() -> str:
    """A folder for temporary files that every user can get to.

    Raises OSError when there is none.
    """
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if reachable(Path(folder)):
            return folder
    raise OSError("no folder for temporary files is open to all users")


def copy_package(source: Source, program: Path, folder: Path) -> Path:
    """Copy the parts of the package into ``folder``; returns the program's copy.

    Raises OSError when ``program`` is not of the package.
    """
    site = source.site()
    if site is None or not program.is_relative_to(site):
        raise OSError(f"users other than root can not run {program}")
    if not folder.exists():
        for part in source.parts:
            shutil.copytree(site / part, folder / part, copy_function=_link)
    return folder / program.relative_to(site)


def _link(source: str, target: str) -> None:
    """A hard link is a copy that takes no time and no space, on one file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
