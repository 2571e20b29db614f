"""The parts of a notebook that are data: its quiz, and its table of costs.

One TOML file a notebook, named by its number:

    [[quiz]]
    text = "..."
    right = {"an answer" = "its feedback"}
    wrong = {"another" = "why not", "a third" = "why not"}

    [[cost]]
    choice = "keep a connection"
    gained = "{keep_alive_speedup:.1f} times faster"    # figures of the ledger
    cost = "memory for idle clients"
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

__all__ = ["content"]

FOLDER = Path(__file__).parent


def content(notebook: str) -> dict[str, Any]:
    """The data of a notebook, by its number ("01", "04a").

    Raises ValueError, which names those that there are, for another.
    """
    path = FOLDER / f"{notebook}.toml"
    known = sorted(path.stem for path in FOLDER.glob("*.toml"))
    if notebook not in known:
        raise ValueError(f"no content for {notebook!r}; there is {', '.join(known)}")
    return tomllib.loads(path.read_text("utf-8"))
