"""explore: sliders over an experiment, which runs anew when one is released.

async def experiment(*, latency, n, report):
    ...
    return bars(...)

explore(experiment, latency=Slider(0, 0.1, 0.01, unit="s"), n=(1, 40, 1))
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ipywidgets as widgets

from helpers.kernel import current_cell, on_cell_run
from helpers.measure.units import number, seconds
from helpers.show.display import as_html, escape
from helpers.show.runner import Experiment, Listener, Runner

__all__ = ["Exploration", "Slider", "explore"]

WAITING = "Move a slider, or press Run."


@dataclass(frozen=True)
class Slider:
    """What may be set: from ``low`` to ``high`` in steps of ``step``.

    ``start`` is where it stands first, ``low`` unless told. ``unit`` and ``label``
    are written beside it; the label is the parameter's name unless told.
    """

    low: float
    high: float
    step: float
    start: float | None = None
    unit: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        start = self.low if self.start is None else self.start
        if self.step <= 0 or not self.low <= start <= self.high:
            raise ValueError(f"{self!r}: needs low <= start <= high, and step > 0")

    def widget(self, name: str) -> widgets.Widget:
        whole = all(isinstance(v, int) for v in (self.low, self.high, self.step))
        kind = widgets.IntSlider if whole else widgets.FloatSlider
        digits = max(0, -Decimal(str(self.step)).as_tuple().exponent)
        more = {} if whole else {"readout_format": f".{digits}f"}
        return kind(
            value=self.low if self.start is None else self.start,
            min=self.low,
            max=self.high,
            step=self.step,
            continuous_update=False,  # only when released
            **more,
            **_described(self.label or name, self.unit),
        )

    def told(self, name: str) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.label or name} from {number(self.low)} to {number(self.high)}{unit}"
        )


def explore(
    experiment: Experiment, *, autorun: bool = False, **sliders: Any
) -> Exploration:
    """Sliders that run ``experiment`` when released, beside its result.

    ``experiment`` is an async function whose keyword parameters are named as the
    sliders are; it may take ``report(done, total, text)`` to show its progress. It
    returns what to show: a chart, a table, a ladder, text, or a list of them.

    A slider is a :class:`Slider`, a tuple (low, high, step) or (low, high, step,
    start), or a list of choices. The experiment runs on a thread and a loop of its
    own, also while another cell blocks, and a new run cancels the one before.
    ``autorun`` runs it at once with the start values.

    Raises TypeError when the experiment is not async or does not take a slider.
    """
    _check(experiment, sliders)
    exploration = Exploration(experiment, sliders)
    _stop_with_cell(exploration)
    if autorun:
        exploration.run()
    return exploration


class Exploration(Listener):
    """What :func:`explore` returns; it shows itself in a notebook.

    Callbacks come on whatever thread the kernel chooses, so nothing here touches
    the kernel's loop: it only writes values of widgets.
    """

    def __init__(self, experiment: Experiment, sliders: Mapping[str, Any]) -> None:
        self.runner = Runner(experiment, self)
        self._running = ""
        self._told = "; ".join(_told(name, spec) for name, spec in sliders.items())
        self.controls = {name: _widget(name, spec) for name, spec in sliders.items()}
        self.run_button = widgets.Button(description="Run", icon="play")
        self.stop_button = widgets.Button(
            description="Stop", icon="stop", disabled=True
        )
        self.progress = widgets.FloatProgress(
            min=0, max=1, layout=widgets.Layout(width="12em", visibility="hidden")
        )
        self.status = widgets.HTML(_line(WAITING))
        self.result = widgets.HTML()
        # So that a table looks as in any other output of JupyterLab.
        self.result.add_class("jp-RenderedHTMLCommon")
        self._wire()
        buttons = [self.run_button, self.stop_button, self.progress, self.status]
        self.view = widgets.VBox(
            [*self.controls.values(), widgets.HBox(buttons), self.result]
        )

    def _wire(self) -> None:
        for control in self.controls.values():
            control.observe(lambda _: self.run(), names="value")
        self.run_button.on_click(lambda _: self.run())
        self.stop_button.on_click(lambda _: self.runner.stop())

    @property
    def settings(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    def run(self) -> None:
        """Run with what the sliders say now. Returns at once."""
        self.runner.run(**self.settings)

    def close(self) -> None:
        """Stop what runs, for good; the last result stays."""
        for control in (*self.controls.values(), self.run_button):
            control.disabled = True
        self.runner.close()

    # -- the runner tells -------------------------------------------------------------

    def started(self, settings: Mapping[str, Any]) -> None:
        self.stop_button.disabled = False
        self.progress.value = 0
        self.progress.bar_style = ""
        self.progress.layout.visibility = "visible"
        self._running = _spelled(settings)
        self.status.value = _line(f"running with {self._running} …")

    def progressed(self, done: float, total: float, text: str) -> None:
        self.progress.value = done / total if total else 0
        self.status.value = _line(text or f"{number(done)} of {number(total)}")

    def finished(self, result: Any, took: float) -> None:
        self.result.value = as_html(result)
        self._rest(f"done in {seconds(took)} with {self._running}", "success")

    def failed(self, error: BaseException) -> None:
        self.result.value = _failure(error)
        self._rest("did not work out: see below", "danger")

    def stopped(self) -> None:
        self._rest("stopped. " + WAITING, "warning")

    def _rest(self, text: str, style: str) -> None:
        self.stop_button.disabled = True
        self.progress.value = 1
        self.progress.bar_style = style
        self.status.value = _line(text)

    # -- in a notebook ----------------------------------------------------------------

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        """The widgets; and in words what they are, for where there is no kernel."""
        words = f"Sliders to explore: {self._told}. Run this cell to use them."
        live = self.view._repr_mimebundle_(include=include, exclude=exclude)
        if isinstance(live, tuple):
            live = live[0]
        return {
            **live,
            "text/html": f"<p><i>{escape(words)}</i></p>",
            "text/plain": words,
        }


def _check(experiment: Experiment, sliders: Mapping[str, Any]) -> None:
    if not inspect.iscoroutinefunction(experiment):
        raise TypeError("explore needs an experiment written as `async def`")
    try:
        inspect.signature(experiment).bind(**sliders, **_report_of(experiment))
    except TypeError as error:
        raise TypeError(
            f"the sliders do not fit {experiment.__name__}: {error}"
        ) from None


def _report_of(experiment: Experiment) -> dict[str, None]:
    takes = "report" in inspect.signature(experiment).parameters
    return {"report": None} if takes else {}


def _as_slider(spec: Any) -> Slider | list:
    if isinstance(spec, Slider):
        return spec
    if isinstance(spec, tuple) and len(spec) in (3, 4):
        return Slider(*spec)
    if isinstance(spec, list) and spec:
        return spec
    raise TypeError(
        f"a slider is a Slider, (low, high, step[, start]) or a list; not {spec!r}"
    )


def _widget(name: str, spec: Any) -> widgets.Widget:
    spec = _as_slider(spec)
    if isinstance(spec, Slider):
        return spec.widget(name)
    return widgets.SelectionSlider(
        options=spec, continuous_update=False, **_described(name, "")
    )


def _described(label: str, unit: str) -> dict[str, Any]:
    label = label.replace("_", " ")
    return {
        "description": f"{label}, {unit}" if unit else label,
        "style": {"description_width": "14em"},
        "layout": widgets.Layout(width="38em", max_width="100%"),
    }


def _told(name: str, spec: Any) -> str:
    spec = _as_slider(spec)
    if isinstance(spec, Slider):
        return spec.told(name)
    return f"{name} among {', '.join(map(str, spec))}"


def _spelled(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} = {number(v) if isinstance(v, int | float) else v}"
        for name, v in settings.items()
    )


def _line(text: str) -> str:
    # A screen reader tells the change of a status (WAI-ARIA 1.2, role status).
    return f"<span role='status' style='margin-left:.6em'>{escape(text)}</span>"


def _failure(error: BaseException) -> str:
    lines = traceback.format_exception(error)
    details = "\n".join(escape(line) for line in "".join(lines).split("\n"))
    said = f": {error}" if str(error) else ""
    return (
        "<p role='alert' style='border-left:3px solid #d55e00;padding-left:.6em'>"
        f"{escape(type(error).__name__ + said)}</p>"
        f"<details><summary>details</summary><pre>{details}</pre></details>"
    )


# -- an exploration ends when its cell runs again ------------------------------------

_of_cell: dict[str, Exploration] = {}


def _stop_with_cell(exploration: Exploration) -> None:
    if (cell := current_cell()) is not None:
        _close_of(cell)  # the cell calls explore twice
        _of_cell[cell] = exploration


def _close_of(cell: str) -> None:
    if (exploration := _of_cell.pop(cell, None)) is not None:
        try:
            exploration.close()
        except RuntimeError as error:  # must not keep the cell from running
            print(error, file=sys.stderr)


on_cell_run(_close_of)
