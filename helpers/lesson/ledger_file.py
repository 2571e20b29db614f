"""The file behind the ledger: never half written, shared by several kernels.

A file that can not be read (broken by hand, or of an older version) is kept as
``ledger.json.broken`` and a new one begun.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

__all__ = ["ROOT", "VERSION", "read", "replace", "update"]

ROOT = Path(__file__).resolve().parents[2]
VERSION = 1
SECTIONS = {"figures": dict, "guesses": dict, "done": list}
FIGURE = {"value", "unit", "label"}


def _path() -> Path:
    return Path(os.environ.get("WORKBOOK_LEDGER") or ROOT / "ledger.json")


def _blank() -> dict[str, Any]:
    return {"version": VERSION} | {name: kind() for name, kind in SECTIONS.items()}


def read() -> dict[str, Any]:
    """The ledger as it stands; blank when there is none."""
    ledger = _parse()
    if ledger is not None:
        return ledger
    try:
        with _locked():
            return _parse_or_set_aside()
    except OSError:  # broken, and in a folder where nothing can be written
        return _blank()


def update(change: Callable[[dict[str, Any]], None]) -> None:
    """Let ``change`` alter the ledger in place, with other kernels kept out.

    Warns, and goes on, when the file can not be written.
    """
    try:
        with _locked():
            ledger = _parse_or_set_aside()
            change(ledger)
            replace(_path(), ledger)
    except OSError as error:  # a lesson goes on without its ledger
        warnings.warn(
            f"the ledger {_path()} can not be written: {error.strerror}. The notebook "
            "goes on, but 05-reflections will miss what was recorded here.",
            stacklevel=3,
        )


def _parse() -> dict[str, Any] | None:
    """The ledger, blank when there is none yet, or None when it is broken."""
    try:
        ledger = json.loads(_path().read_text("utf-8"))
    except FileNotFoundError:
        return _blank()
    except (ValueError, OSError):
        return None
    return ledger if _sound(ledger) else None


def _sound(ledger: Any) -> bool:
    return (
        isinstance(ledger, dict)
        and ledger.get("version") == VERSION
        and all(isinstance(ledger.get(name), kind) for name, kind in SECTIONS.items())
        and all(
            isinstance(entry, dict) and set(entry) == FIGURE
            for entry in ledger["figures"].values()
        )
    )


def _parse_or_set_aside() -> dict[str, Any]:
    ledger = _parse()
    if ledger is None:
        broken = _path().with_name(_path().name + ".broken")
        os.replace(_path(), broken)
        warnings.warn(
            f"the ledger could not be read: a new one was begun, and the old one kept "
            f"as {broken}",
            stacklevel=4,
        )
    return ledger or _blank()


def replace(path: Path, content: dict[str, Any]) -> None:
    """Write so that a reader sees all of the old file or all of the new one."""
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    descriptor, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextmanager
def _locked() -> Iterator[None]:
    """Keep out other kernels, and other threads of this one (a slider's)."""
    with open(_path().with_name(_path().name + ".lock"), "a+b") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)  # released with the file
            yield
        else:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
