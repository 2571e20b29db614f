"""What every picture here has in common: HTML for the page, text for the rest.

The text is what a terminal, a screen reader, a diff and a code host show.
"""

from __future__ import annotations

import base64
import html
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

__all__ = [
    "MEASURED",
    "REFERENCE",
    "Display",
    "as_html",
    "check_label",
    "escape",
    "extrapolated",
    "printable",
]

MEASURED = "measured here"
REFERENCE = "reference machine"

_LABEL = re.compile(rf"{MEASURED}|{REFERENCE}|extrapolated from .*\d.*")


class Display(ABC):
    """Something to look at: JupyterLab takes the HTML, everything else the text."""

    @abstractmethod
    def html(self) -> str: ...

    @abstractmethod
    def text(self) -> str: ...

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        return {"text/html": self.html(), "text/plain": self.text()}

    def __repr__(self) -> str:
        return self.text()


def extrapolated(n: float, what: str = "") -> str:
    """The label of a figure that was measured at ``n`` and computed beyond."""
    return f"extrapolated from {n:,} {what}".rstrip()


def check_label(label: str) -> str:
    """Return ``label``.

    Raises ValueError when it does not say where the figures are from.
    """
    if not _LABEL.fullmatch(label):
        raise ValueError(
            f"label {label!r} does not say where the figures are from: use "
            f"{MEASURED!r}, {REFERENCE!r} or 'extrapolated from N'"
        )
    return label


def printable(text: str) -> str:
    """``text`` with what is invisible, or changes the writing direction, spelled out.

    Bytes from the network may hold anything; they must not disturb the page.
    """
    return "".join(c if c.isprintable() else _spelled_out(c) for c in text)


def _spelled_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def escape(text: object) -> str:
    """``text`` for HTML, in element content and in attributes."""
    return html.escape(printable(str(text)))


def as_html(result: Any) -> str:
    """Anything as HTML: what it says of itself, else its text; lists part by part."""
    if result is None:
        return ""
    if isinstance(result, Sequence) and not isinstance(result, str | bytes):
        return "".join(as_html(part) for part in result)
    bundle = _bundle(result)
    if page := bundle.get("text/html"):
        return page
    if png := bundle.get("image/png"):
        data = png if isinstance(png, str) else base64.b64encode(png).decode()
        return f"<img alt='{escape(result)}' src='data:image/png;base64,{data}'>"
    text = "\n".join(escape(line) for line in str(result).split("\n"))
    return f"<pre>{text}</pre>"


def _bundle(result: Any) -> dict[str, Any]:
    if hasattr(result, "_repr_mimebundle_"):
        bundle = result._repr_mimebundle_()
        return bundle[0] if isinstance(bundle, tuple) else bundle
    if hasattr(result, "_repr_html_"):
        return {"text/html": result._repr_html_()}
    return {}
