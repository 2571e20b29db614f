"""What a lab check says: a row a requirement, and the ladder of the run that failed."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.lesson.check_process import Outcome

__all__ = ["Report", "Solution", "Verdict"]

WIDTH = 80
SHOWN_PRINTS = 12  # lines


@dataclass(frozen=True)
class Verdict:
    """One requirement: met, or not met with what was recognised.

    ``message`` is empty where it was met, and where it was not tried. ``outcome`` and
    ``capture`` are those of the run that failed, if one was made.
    """

    name: str
    title: str
    met: bool
    message: str = ""
    outcome: Outcome | None = None
    capture: Any = None


class Report:
    """The verdicts on one function; shows itself as text and as HTML.

    ``note`` stands before the rows. ``draw(capture, title)`` gives something that
    shows itself; it draws the first run that failed. ``drawn`` says what that shows.
    """

    def __init__(
        self,
        lab: str,
        verdicts: list[Verdict],
        *,
        note: str = "",
        draw: Callable[[Any, str], Any] | None = None,
        drawn: str = "What crossed the link",
    ) -> None:
        self.lab = lab
        self.verdicts = verdicts
        self.note = note
        self._draw = draw
        self._drawn = drawn

    @property
    def met(self) -> list[str]:
        """The names of the requirements that are met."""
        return [verdict.name for verdict in self.verdicts if verdict.met]

    @property
    def failed(self) -> dict[str, str]:
        """What was tried and is not met: name and message."""
        return {v.name: v.message for v in self.verdicts if not v.met and v.message}

    def __bool__(self) -> bool:
        """Whether all is met."""
        return all(verdict.met for verdict in self.verdicts)

    # -- how it looks -----------------------------------------------------------------

    def __repr__(self) -> str:
        parts = [self._summary(), _fill(self.note)] if self.note else [self._summary()]
        parts.append("\n".join(_row_as_text(v) for v in self.verdicts))
        picture = self._picture()
        if picture is not None:
            parts.append(repr(picture))
        return "\n\n".join(parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        rows = "".join(_row_as_html(verdict) for verdict in self.verdicts)
        picture = self._picture()
        drawn = "" if picture is None else picture._repr_mimebundle_()["text/html"]
        summary = html.escape(self._summary())
        return (
            f"<div><p><strong>{summary}</strong></p>{note}"
            f"<div style='margin:.5em 0'>{rows}</div>{drawn}</div>"
        )

    def _summary(self) -> str:
        counted = f"{len(self.met)} of {len(self.verdicts)} requirements met"
        return f"{self.lab}: {counted}" + (". Well done!" if self else "")

    def _picture(self) -> Any:
        for number, verdict in enumerate(self.verdicts, start=1):
            if verdict.capture is not None and not verdict.met and self._draw:
                title = f"{self._drawn} when requirement {number} failed"
                return self._draw(verdict.capture, title)
        return None


class Solution:
    """A file to look at when one wants to: folded in a notebook, named in a text."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"The solution is in {'/'.join(self.path.parts[-3:])}."

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        source = html.escape(self.path.read_text("utf-8"))
        folded = (
            "<details><summary>Show the solution</summary>"
            f"<pre style='margin:.5em 0'>{source}</pre></details>"
        )
        return {"text/plain": repr(self), "text/html": folded}


def _row_as_text(verdict: Verdict) -> str:
    lines = [_heading(verdict)]
    if verdict.message:
        lines.append(_fill(verdict.message, indent=2))
    lines += [f"    {line}" for line in _details(verdict)]
    return "\n".join(lines)


def _row_as_html(verdict: Verdict) -> str:
    # The sign says in form what the colour says.
    color = "#1b7f3b" if verdict.met else "#b3261e"
    sign, title = _heading(verdict).split(" ", 1)
    row = (
        f"<div style='margin:.35em 0'><strong style='color:{color}'>{sign}</strong> "
        f"{html.escape(title)}"
    )
    if verdict.message:
        row += (
            f"<div style='margin:.2em 0 .2em 1.4em;max-width:70ch'>"
            f"{html.escape(verdict.message)}</div>"
        )
    if details := _details(verdict):
        text = html.escape("\n".join(details))
        row += f"<pre style='margin:.2em 0 .4em 1.4em'>{text}</pre>"
    return f"{row}</div>"


def _heading(verdict: Verdict) -> str:
    tried = verdict.met or verdict.message
    return f"{'✔' if verdict.met else '✘'} {verdict.title}" + (
        "" if tried else " (not tried yet)"
    )


def _details(verdict: Verdict) -> list[str]:
    """Where it raised, and what it printed."""
    outcome = verdict.outcome
    if outcome is None:
        return []
    lines = []
    if outcome.error is not None:
        if str(outcome.error) not in verdict.message:
            lines.append(str(outcome.error)[: 4 * WIDTH])
        lines += outcome.error.where()
    if outcome.prints:
        printed = outcome.prints.splitlines()
        lines.append("Printed:" if len(printed) <= SHOWN_PRINTS else "Printed last:")
        lines += [f"  {line[:WIDTH]}" for line in printed[-SHOWN_PRINTS:]]
    return lines


def _fill(text: str, *, indent: int = 0) -> str:
    margin = " " * indent
    return textwrap.fill(text, WIDTH, initial_indent=margin, subsequent_indent=margin)
