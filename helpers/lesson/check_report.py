"""What a lab check says: a row a requirement, and the ladder of the run that failed."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpers.lesson.check_process import Outcome

__all__ = ["Report", "Verdict"]

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

    ``note`` stands before the rows. ``draw(capture)`` gives something that shows
    itself, or is None; it draws the first run that failed.
    """

    def __init__(
        self,
        lab: str,
        verdicts: list[Verdict],
        *,
        note: str = "",
        draw: Callable[[Any], Any] | None = None,
    ) -> None:
        self.lab = lab
        self.verdicts = verdicts
        self.note = note
        self._draw = draw

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
        title, picture = self._picture()
        if picture is not None:
            parts.append(f"{title}\n\n{picture!r}")
        return "\n\n".join(parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        rows = "".join(_row_as_html(verdict) for verdict in self.verdicts)
        title, picture = self._picture()
        drawn = ""
        if picture is not None:
            shown = picture._repr_mimebundle_()["text/html"]
            drawn = f"<p><strong>{html.escape(title)}</strong></p>{shown}"
        summary = html.escape(self._summary())
        return (
            f"<div><p><strong>{summary}</strong></p>{note}"
            f"<div style='margin:.5em 0'>{rows}</div>{drawn}</div>"
        )

    def _summary(self) -> str:
        counted = f"{len(self.met)} of {len(self.verdicts)} requirements met"
        return f"{self.lab}: {counted}" + (". Well done!" if self else "")

    def _picture(self) -> tuple[str, Any]:
        for number, verdict in enumerate(self.verdicts, start=1):
            if verdict.capture is not None and not verdict.met and self._draw:
                title = f"What crossed the link when requirement {number} failed:"
                return title, self._draw(verdict.capture)
        return "", None


def _row_as_text(verdict: Verdict) -> str:
    lines = [_heading(verdict)]
    if verdict.message:
        lines.append(_fill(verdict.message, indent=2))
    lines += [f"    {line}" for line in _details(verdict.outcome)]
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
    if details := _details(verdict.outcome):
        text = html.escape("\n".join(details))
        row += f"<pre style='margin:.2em 0 .4em 1.4em'>{text}</pre>"
    return f"{row}</div>"


def _heading(verdict: Verdict) -> str:
    tried = verdict.met or verdict.message
    return f"{'✔' if verdict.met else '✘'} {verdict.title}" + (
        "" if tried else " (not tried yet)"
    )


def _details(outcome: Outcome | None) -> list[str]:
    """Where it raised, and what it printed."""
    if outcome is None:
        return []
    lines = []
    if outcome.error is not None:
        lines += [str(outcome.error)[: 4 * WIDTH]]
        lines += [f"  {line}" for line in outcome.error.where()]
    if outcome.prints:
        printed = outcome.prints.splitlines()
        lines.append("Printed:" if len(printed) <= SHOWN_PRINTS else "Printed last:")
        lines += [f"  {line[:WIDTH]}" for line in printed[-SHOWN_PRINTS:]]
    return lines


def _fill(text: str, *, indent: int = 0) -> str:
    margin = " " * indent
    return textwrap.fill(text, WIDTH, initial_indent=margin, subsequent_indent=margin)
