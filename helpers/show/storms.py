"""A crowd that comes back after a restart: its tries, and who is let in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from helpers.lesson.storm import Storm
from helpers.measure.units import number
from helpers.show.canvas import COLOURS, FAINT, SMALL, TEXT, Canvas, Chart
from helpers.show.display import MEASURED, extrapolated
from helpers.show.guess_words import guessed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["storms"]

MODEL_OF = 2000  # clients of the real crowd that the model was checked with


def storms(seen: Mapping[str, Storm], guess: Any = None) -> Chart:
    """Tries and entries a second after a restart, a panel for each crowd.

    All are measured, or all are from the model. ``guess`` is how many clients of the
    first one are back when the clock stops.
    """
    first = next(iter(seen.values()))
    simulated = first.label != MEASURED
    crowd = f"{first.clients:,} {'simulated ' * simulated}clients"
    with Canvas(
        f"{crowd} are back sooner at random than in step" + guessed(guess, "in step"),
        "In step, all try at the same moments, in waves: most of each wave finds the "
        "queue full and gives up, and between two waves the server idles. With jitter "
        "the tries are spread out, and the server lets in one after the other.",
        extrapolated(MODEL_OF, "clients, by a model") if simulated else MEASURED,
        height=1.6 + 1.7 * len(seen),
        grid=(len(seen), 1),
    ) as canvas:
        for axes, (name, storm) in zip(canvas.panels, seen.items(), strict=True):
            _draw_storm(axes, storm)
            axes.set_title(f"{name}: {_told_end(storm)}", fontsize=TEXT, loc="left")
            axes.set_ylabel("a second, log.", fontsize=TEXT)
            canvas.facts[name] = f"{_told_end(storm)}; {storm.tries.sum():,} tries"
        canvas.panels[-1].set_xlabel(
            "time since the server was there again, s", fontsize=TEXT
        )
        canvas.set_scales("y")
        canvas.axes.set_ylim(bottom=first.clients / 1000)
        if first.limit < math.inf and first.back < first.clients:
            canvas.axes.set_xlim(right=first.limit)
        canvas.panels[0].legend(
            fontsize=SMALL,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=2,
            frameon=False,
        )
    return canvas.chart


def _told_end(storm: Storm) -> str:
    if storm.back == storm.clients:
        return f"all back after {number(storm.all_back)} s"
    return f"{storm.back:,} of {storm.clients:,} back"


def _draw_storm(axes: Axes, storm: Storm) -> None:
    axes.axvspan(storm.begin, 0, color=FAINT, alpha=0.25, linewidth=0)
    tries, entries = storm.tries_per_second, storm.accepted_per_second
    axes.fill_between(
        storm.moments, tries, step="post", color=COLOURS[1], alpha=0.6, label="tries"
    )
    axes.step(
        storm.moments, entries, where="post", color=COLOURS[0], lw=2, label="let in"
    )
