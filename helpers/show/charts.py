"""Charts in one style: for eyes of every kind, and for those who have them read out.

Each function draws one kind of picture, and each demands what makes a picture
honest: a ``title`` that says the finding, the ``unit`` or the axes' texts, ``alt``
(the finding in words, for those who do not see it), and a ``label`` that says where
the figures are from. Nothing here has state: no pyplot, no current figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.measure.units import number
from helpers.show.canvas import (
    COLOURS,
    FAINT,
    SMALL,
    TEXT,
    Canvas,
    Chart,
    required,
)
from helpers.show.display import MEASURED
from helpers.show.guess_mark import mark_at_bars, mark_on_y

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Chart", "bars", "cdf", "lines", "spans", "stacked", "steps"]

PER_SECOND = {"s": 1.0, "ms": 1e3, "µs": 1e6}
MARKERS = "osD^vP"
HATCHES = ("", "///", "...", "xxx", "\\\\\\")
Curve = tuple[Sequence[float], Sequence[float]]


def bars(
    values: Mapping[str, float],
    *,
    unit: str,
    title: str,
    alt: str,
    label: str = MEASURED,
    guess: Any = None,
    log: bool = False,
) -> Chart:
    """One horizontal bar for each of ``values``, with its value written at its end.

    ``guess`` is a number in the same unit, or what ``predict`` returned: a line
    through all bars. A mapping from bar to guess marks each at its own bar.
    """
    required(unit=unit, title=title, alt=alt)
    with Canvas(title, alt, label, height=1.1 + 0.48 * len(values)) as canvas:
        axes = canvas.axes
        names = list(values)
        drawn = axes.barh(names, list(values.values()), color=COLOURS[0], height=0.62)
        _write_values(axes, drawn, [number(v) for v in values.values()])
        mark_at_bars(axes, guess, names)
        _horizontal(axes, unit)
        canvas.set_scales("x" if log else "")
        canvas.facts = {name: f"{number(v)} {unit}" for name, v in values.items()}
    return canvas.chart


def stacked(
    rows: Mapping[str, Mapping[str, float]],
    *,
    unit: str,
    title: str,
    alt: str,
    label: str = MEASURED,
) -> Chart:
    """One horizontal bar a row, made of parts: {"attempt 1": {"useful": 5, …}, …}."""
    required(unit=unit, title=title, alt=alt)
    kinds = list(dict.fromkeys(kind for parts in rows.values() for kind in parts))
    with Canvas(title, alt, label, height=1.4 + 0.4 * len(rows)) as canvas:
        left = np.zeros(len(rows))
        for kind, colour, hatch in _cycle(kinds, COLOURS, HATCHES):
            widths = np.array([parts.get(kind, 0) for parts in rows.values()], float)
            canvas.axes.barh(
                list(rows),
                widths,
                left=left,
                label=kind,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                height=0.66,
            )
            left += widths
        _horizontal(canvas.axes, unit)
        canvas.legend()
        canvas.facts = {
            row: ", ".join(f"{kind} {number(v)} {unit}" for kind, v in parts.items())
            for row, parts in rows.items()
        }
    return canvas.chart


def lines(
    series: Mapping[str, Curve],
    *,
    x: str,
    y: str,
    title: str,
    alt: str,
    label: str = MEASURED,
    models: Mapping[str, Curve] | None = None,
    log: str = "",
    lowest: str | None = None,
    marks: Mapping[str, tuple[float, float]] | None = None,
    guess: Any = None,
) -> Chart:
    """Measured ``series`` as points, and ``models`` beside them as dashed lines.

    ``x`` and ``y`` are the axes' texts, with units ("chunk size, bytes"). ``log``
    is "x", "y" or "xy". ``lowest`` names the series whose lowest point is marked;
    ``marks`` annotates more points; ``guess`` is a guess of y.
    """
    required(x=x, y=y, title=title, alt=alt)
    with Canvas(title, alt, label, height=4.0) as canvas:
        axes = canvas.axes
        canvas.set_scales(log)
        for name, (xs, ys), colour, marker in _cycle(series.items(), COLOURS, MARKERS):
            axes.plot(xs, ys, color=colour, marker=marker, label=name, linewidth=1.6)
        for name, (xs, ys), colour in _cycle((models or {}).items(), COLOURS):
            axes.plot(xs, ys, "--", color=colour, label=f"{name} (model)", alpha=0.85)
        marks = dict(marks or {})
        if lowest is not None:
            spot = _lowest(*series[lowest])
            marks[f"lowest: {number(spot[1])} at {number(spot[0])}"] = spot
        for text, spot in marks.items():
            canvas.annotate(text, spot)
        mark_on_y(axes, guess)
        canvas.label_axes(x, y)
        canvas.legend()
        canvas.facts = {
            name: f"{y} from {number(np.min(ys))} to {number(np.max(ys))}"
            for name, (_, ys) in series.items()
        }
    return canvas.chart


def cdf(
    samples: Mapping[str, Any],
    *,
    unit: str = "ms",
    what: str = "latency",
    title: str,
    alt: str,
    label: str = MEASURED,
    percentiles: Sequence[float] = (50, 99),
    log: bool = True,
) -> Chart:
    """Which share of the samples was at most so long.

    ``samples`` are arrays of seconds, or results with ``latencies``; ``unit`` is
    what the axis shows: "s", "ms" or "µs". A percentile is marked on each curve
    and told in words.
    """
    required(unit=unit, title=title, alt=alt)
    with Canvas(title, alt, label, height=4.0) as canvas:
        axes = canvas.axes
        canvas.set_scales("x" if log else "")
        for name, sample, colour, marker in _cycle(samples.items(), COLOURS, MARKERS):
            times = _sorted_times(name, sample) * PER_SECOND[unit]
            share = np.arange(1, len(times) + 1) / len(times)
            axes.step(times, share, where="post", color=colour, label=name)
            at = np.percentile(times, percentiles, method="inverted_cdf")
            axes.plot(at, np.divide(percentiles, 100), marker, color=colour)
            canvas.facts[name] = ", ".join(
                f"p{p:g} {number(t)} {unit}"
                for p, t in zip(percentiles, at, strict=True)
            )
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        canvas.label_axes(
            f"{what}, {unit}", f"share with at most this {what.split()[0]}"
        )
        canvas.legend(", ".join(f"p{p:g}" for p in percentiles) + " marked")
    return canvas.chart


def spans(
    rows: Sequence[tuple],
    *,
    unit: str,
    title: str,
    alt: str,
    label: str = MEASURED,
    marks: Mapping[str, float] | None = None,
) -> Chart:
    """Who was busy, or waited, from when to when.

    ``rows`` are (who, start, end) or (who, start, end, kind); an ``end`` of None
    makes it a moment. ``kind`` chooses colour and pattern. ``marks`` are moments
    that concern everybody, as upright lines.
    """
    required(unit=unit, title=title, alt=alt)
    rows = [(*row, "") if len(row) == 3 else tuple(row) for row in rows]
    names = list(dict.fromkeys(row[0] for row in rows))
    kinds = list(dict.fromkeys(row[3] for row in rows))
    with Canvas(title, alt, label, height=1.4 + 0.3 * len(names)) as canvas:
        for kind, colour, hatch in _cycle(kinds, COLOURS, HATCHES):
            mine = [(names.index(r[0]), *r[1:3]) for r in rows if r[3] == kind]
            _draw_spans(canvas.axes, mine, kind, colour, hatch)
        for text, moment in (marks or {}).items():
            canvas.upright(moment, text)
        canvas.axes.set_yticks(range(len(names)), names)
        _horizontal(canvas.axes, unit)
        canvas.legend()
        canvas.facts = _told_spans(rows, unit)
    return canvas.chart


def steps(
    truth: Curve,
    seen: Curve,
    *,
    x: str,
    y: str,
    title: str,
    alt: str,
    label: str = MEASURED,
    names: tuple[str, str] = ("true value", "value seen"),
) -> Chart:
    """A value that changes, and on top what an observer believed it to be.

    Both are (times, values), each value holding until the next. Where the two
    differ, the picture is shaded: there the observer was out of date.
    """
    required(x=x, y=y, title=title, alt=alt)
    with Canvas(title, alt, label, height=3.6) as canvas:
        axes = canvas.axes
        end = max(truth[0][-1], seen[0][-1])
        for start, stop in _stale(truth, seen, end):
            axes.axvspan(start, stop, color=COLOURS[1], alpha=0.22, linewidth=0)
        axes.step(*_held(truth, end), where="post", color=FAINT, label=names[0], lw=3)
        axes.step(*_held(seen, end), where="post", color=COLOURS[0], label=names[1])
        axes.plot(*seen, "o", color=COLOURS[0], markersize=4)
        canvas.label_axes(x, y)
        canvas.legend("shaded: out of date")
        stale = sum(stop - start for start, stop in _stale(truth, seen, end))
        share = stale / (end - seen[0][0])
        canvas.facts = {"out of date": f"{number(100 * share)} % of the time"}
    return canvas.chart


# -- how it is done -----------------------------------------------------------------


def _cycle(things: Any, *styles: Sequence) -> list[tuple]:
    """Each thing with its own colour, marker or pattern; a pair is spread out."""
    return [
        (
            *(thing if isinstance(thing, tuple) else (thing,)),
            *(s[i % len(s)] for s in styles),
        )
        for i, thing in enumerate(things)
    ]


def _horizontal(axes: Axes, unit: str) -> None:
    """Rows from top to bottom, values to the right."""
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(unit, fontsize=TEXT)


def _write_values(axes: Axes, drawn: Any, texts: list[str]) -> None:
    axes.bar_label(drawn, texts, padding=4, fontsize=SMALL)
    axes.margins(x=0.14)


def _lowest(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    at = int(np.argmin(ys))
    return float(xs[at]), float(ys[at])


def _sorted_times(name: str, sample: Any) -> np.ndarray:
    times = np.sort(np.asarray(getattr(sample, "latencies", sample), dtype=float))
    if not len(times):
        raise ValueError(f"{name!r} has no samples to draw")
    return times


def _draw_spans(
    axes: Axes, rows: list[tuple], kind: str, colour: str, hatch: str
) -> None:
    lasting = [(row, start, end) for row, start, end in rows if end is not None]
    moments = [(start, row) for row, start, end in rows if end is None]
    if lasting:
        at, starts, ends = map(np.array, zip(*lasting, strict=True))
        style = {"color": colour, "hatch": hatch, "edgecolor": "white", "height": 0.7}
        axes.barh(at, ends - starts, left=starts, label=kind, **style)
        kind = ""
    if moments:
        axes.plot(*zip(*moments, strict=True), "D", color=colour, label=kind)


def _told_spans(rows: list[tuple], unit: str) -> dict[str, str]:
    told: dict[str, str] = {}
    for who, start, end, kind in rows:
        text = f"{kind}, {number(start)}" if kind else number(start)
        text += f" to {number(end)} {unit}" if end is not None else f" {unit}"
        told[who] = f"{told[who]}; {text}" if who in told else text
    return told


def _held(curve: Curve, end: float) -> tuple[list[float], list[float]]:
    """The curve, its last value held until ``end``."""
    times, values = curve
    return [*times, end], [*values, values[-1]]


def _stale(truth: Curve, seen: Curve, end: float) -> list[tuple[float, float]]:
    """The intervals since the first sight in which what was seen was not true."""
    moments = np.unique(np.concatenate([truth[0], seen[0], [end]]))
    moments = moments[moments >= seen[0][0]]
    return [
        (start, stop)
        for start, stop in pairwise(moments)
        if _at(truth, start) != _at(seen, start)
    ]


def _at(curve: Curve, moment: float) -> float | None:
    index = int(np.searchsorted(curve[0], moment, side="right")) - 1
    return curve[1][index] if index >= 0 else None
