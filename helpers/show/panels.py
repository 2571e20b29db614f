"""Small multiples: several panels with the same scales, to be compared at a glance.

Demands what charts.py demands: a title that says the finding, the finding in words,
axes with units, and a label that says where the figures are from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from helpers.measure.units import number
from helpers.show.canvas import COLOURS, INK, SMALL, TEXT, Canvas, Chart, required
from helpers.show.display import MEASURED
from helpers.show.guess_mark import mark_at_bars, mark_on_y

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Freeze", "dots", "freezes", "timelines"]

Span = tuple[float, float, float]  # asked, begun, answered: ms since the first


def timelines(
    panels: Mapping[str, Sequence[Span]],
    *,
    waits: str,
    works: str,
    title: str,
    alt: str,
    label: str = MEASURED,
    guess: Any = None,
) -> Chart:
    """Who waits for whom: in each panel one row a client, in the order of answers.

    A span is (asked, begun, answered) in milliseconds: first the client ``waits``,
    then it is served, ``works``. ``guess``, in milliseconds too, is marked in the
    first panel.
    """
    required(waits=waits, works=works, title=title, alt=alt)
    with Canvas(title, alt, label, height=3.7, grid=(1, len(panels))) as canvas:
        for axes, (name, spans) in zip(canvas.panels, panels.items(), strict=True):
            _draw_timeline(axes, sorted(spans, key=lambda span: span[2]), waits, works)
            last = max(answered for *_, answered in spans)
            axes.set_title(f"{name}: {number(last)} ms", fontsize=TEXT, loc="left")
            axes.set_xlabel("time, ms", fontsize=TEXT)
            canvas.facts[name] = f"all {len(spans)} answered after {number(last)} ms"
        canvas.axes.set_ylabel("client", fontsize=TEXT)
        canvas.axes.invert_yaxis()
        mark_at_bars(canvas.axes, guess, [])
        _legend_below(canvas)
    return canvas.chart


def _draw_timeline(axes: Axes, spans: Sequence[Span], waits: str, works: str) -> None:
    rows = np.arange(1, len(spans) + 1)
    asked, begun, answered = np.array(spans).T
    axes.barh(rows, begun - asked, left=asked, height=0.7, color="#d9d9d9", label=waits)
    axes.barh(
        rows, answered - begun, left=begun, height=0.7, color=COLOURS[0], label=works
    )
    axes.set_yticks(rows)
    axes.grid(axis="y", visible=False)


def dots(
    panels: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    unit: str,
    model: str,
    title: str,
    alt: str,
    label: str = MEASURED,
    guess: Any = None,
) -> Chart:
    """What was measured (a dot) beside what a ``model`` expects (a ring), in log scale.

    Each panel is {row: (measured, expected)}, all with the same rows. ``guess`` is as
    in charts.bars, in the last panel.
    """
    required(unit=unit, model=model, title=title, alt=alt)
    rows = list(next(iter(panels.values())))
    with Canvas(
        title, alt, label, height=1.6 + 0.42 * len(rows), grid=(1, len(panels))
    ) as canvas:
        canvas.set_scales("x")
        for axes, (name, values) in zip(canvas.panels, panels.items(), strict=True):
            _draw_dots(axes, values, model)
            axes.set_title(name, fontsize=TEXT, loc="left")
            axes.set_xlabel(f"{unit} (logarithmic)", fontsize=TEXT)
            for row, (measured, expected) in values.items():
                canvas.facts[f"{name}, {row}"] = (
                    f"{number(measured)} {unit}, {model} {number(expected)}"
                )
        canvas.axes.invert_yaxis()
        mark_at_bars(canvas.panels[-1], guess, rows)
        _legend_below(canvas)
    return canvas.chart


def _draw_dots(
    axes: Axes, values: Mapping[str, tuple[float, float]], model: str
) -> None:
    at = range(len(values))
    measured, expected = zip(*values.values(), strict=True)
    ring = {"mfc": "none", "mec": COLOURS[5], "mew": 1.8, "ms": 13}
    axes.plot(expected, at, "o", label=model, **ring)
    axes.plot(measured, at, "o", color=COLOURS[0], ms=7, label="measured")
    for row, value in zip(at, measured, strict=True):
        axes.annotate(
            number(value),
            (value, row),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
        )
    axes.set_yticks(at, list(values))
    axes.margins(x=0.12, y=0.15)


class Freeze(NamedTuple):
    """What happened around one slow request; all times in ms from its start."""

    others: Sequence[tuple[float, float]]  # each other request: sent, answered
    beats: Sequence[tuple[float, float]]  # each beat of the loop: moment, lag
    slow: tuple[float, float]  # the slow request: sent, answered


def freezes(
    panels: Mapping[str, Freeze],
    *,
    title: str,
    alt: str,
    label: str = MEASURED,
    guess: Any = None,
) -> Chart:
    """How long everybody else waited while one request was slow, and the loop's lag.

    ``guess`` is one of the longest wait in the first panel, in milliseconds.
    """
    required(title=title, alt=alt)
    rows = -(-len(panels) // 2)
    with Canvas(title, alt, label, height=0.9 + 2.2 * rows, grid=(rows, 2)) as canvas:
        for axes, (name, freeze) in zip(canvas.panels, panels.items(), strict=False):
            _draw_freeze(axes, freeze)
            axes.set_title(name, fontsize=TEXT, loc="left")
            worst = max(done - sent for sent, done in freeze.others)
            lag = max(lag for _, lag in freeze.beats)
            canvas.facts[name] = (
                f"others waited {number(worst)} ms at worst, "
                f"the loop came {number(lag)} ms late at worst"
            )
        mark_on_y(canvas.axes, guess)
        for axes in canvas.panels[len(panels) :]:
            axes.set_visible(False)
        for axes in canvas.panels[-2:]:
            axes.set_xlabel("time since the slow request, ms", fontsize=TEXT)
        for axes in canvas.panels[::2]:
            axes.set_ylabel("wait, ms", fontsize=TEXT)
        _legend_below(canvas)
    return canvas.chart


def _draw_freeze(axes: Axes, freeze: Freeze) -> None:
    axes.axvspan(*freeze.slow, color=COLOURS[1], alpha=0.25, lw=0, label="slow request")
    sent, answered = np.array(freeze.others).T
    axes.plot(
        sent, answered - sent, "o", ms=4, color=COLOURS[0], label="another's request"
    )
    moments, lags = np.array(freeze.beats).T
    axes.plot(moments, lags, "x", ms=5, color=INK, label="a beat of the loop, so late")


def _legend_below(canvas: Canvas) -> None:
    """Below the panels, where it covers neither them nor their names."""
    canvas.figure.legend(
        *canvas.axes.get_legend_handles_labels(),
        loc="outside lower left",
        ncols=4,
        fontsize=SMALL,
        frameon=False,
    )
