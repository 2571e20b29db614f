"""A known-wrong submission as what it is: the solution with a mistake in it."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Mapping
from types import ModuleType
from typing import Any

__all__ = ["with_mistake"]


def with_mistake(
    solution: ModuleType, name: str, mistake: Mapping[str, str], **more: Any
) -> Any:
    """``name`` of ``solution``, in whose source each key of ``mistake`` is its value.

    It is compiled as a file of its own, as a learner's is, and knows ``more`` names.
    Raises ValueError for a key that does not stand there exactly once: then the
    solution has changed, and the mistake has to follow.
    """
    source = inspect.getsource(solution)
    for right, wrong in mistake.items():
        if source.count(right) != 1:
            raise ValueError(f"{source.count(right)} times in the solution:\n{right}")
        source = source.replace(right, wrong)
    file = f"<submission {sorted(mistake.items())!r:.60}>"
    # So that a message can show its lines.
    linecache.cache[file] = len(source), None, source.splitlines(True), file
    names = {"__name__": "submission", **more}
    exec(compile(source, file, "exec"), names)
    return names[name]
