"""source: program text in a notebook, coloured, as it stands in its file."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.show.display import Display, escape

__all__ = ["Source", "source"]


class Source(Display):
    """What :func:`source` returns: one text, or several beside each other."""

    def __init__(self, parts: list[tuple[str, str, str]]) -> None:
        self.parts = parts  # heading, language, text

    def html(self) -> str:
        parts = "".join(
            "<div style='flex:1 1 22em;min-width:0'>"
            f"<small><b>{escape(heading)}</b></small>{_coloured(code, language)}</div>"
            for heading, language, code in self.parts
        )
        return f"<div style='display:flex;flex-wrap:wrap;gap:0 1em'>{parts}</div>"

    def text(self) -> str:
        return "\n\n".join(f"{heading}\n\n{code}" for heading, _, code in self.parts)


def source(*parts: Callable[..., Any] | Path | tuple[Path, str]) -> Source:
    """Show program text: a Python function, a file, or (file, function) of JavaScript.

    Several stand beside each other. Raises ValueError when the file has no such
    function.
    """
    return Source([_part(part) for part in parts])


def _part(part: Callable[..., Any] | Path | tuple[Path, str]) -> tuple[str, str, str]:
    if callable(part):
        code = textwrap.dedent(inspect.getsource(part))
        return f"Python: {part.__name__}", "python", code.rstrip()
    path, function = part if isinstance(part, tuple) else (part, None)
    code = path.read_text("utf-8")
    if function is not None:
        code = _function(code, function, path.name)
    return f"Node.js: {function or path.name}", "javascript", code.rstrip()


def _function(code: str, name: str, file: str) -> str:
    """From the line that declares the function to its brace in the first column."""
    lines = code.splitlines()
    starts = (f"function {name}(", f"async function {name}(")
    for first, line in enumerate(lines):
        if line.startswith(starts):
            last = lines.index("}", first)
            return "\n".join(lines[first : last + 1])
    raise ValueError(f"{file} has no function {name!r} that starts its own line")


def _coloured(code: str, language: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    # Its own background, so that the colours can be read on a dark page too.
    look = HtmlFormatter(
        style="default",
        noclasses=True,
        prestyles="margin:0;padding:.5em;overflow-x:auto;font-size:12px;color:#222;"
        "background:#f8f8f8",
    )
    return highlight(code, get_lexer_by_name(language), look)
