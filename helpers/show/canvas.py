"""The paper of a chart: one style, one picture, one text alternative."""

from __future__ import annotations

import base64
import io
import textwrap
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from helpers.measure.units import number
from helpers.show.display import Display, check_label, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

__all__ = [
    "COLOURS",
    "FAINT",
    "GUESS",
    "INK",
    "SMALL",
    "TEXT",
    "Canvas",
    "Chart",
    "required",
]

# Okabe and Ito's palette, told apart with every kind of colour vision. Its yellow
# is left out: it does not show on white.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
GUESS = "#d55e00"
FAINT = "#8a8a8a"
INK = "#222222"
TEXT = 11  # points; nothing is below 10
SMALL = 10
WIDTH = 8.0  # inches; shown 800 pixels wide
TALLEST = 12.0
SHOWN_DPI = 100
STORED_DPI = 160  # sharp enough on dense screens; 10 to 40 kB with 64 colours
STORED_COLOURS = 64

# Experiments draw on threads of their own, and the font cache is shared.
_drawing = threading.RLock()


def required(**texts: str) -> None:
    """Raises TypeError for each text that a picture must not go without."""
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise TypeError(f"a chart needs a text as {name}=, not {text!r}")


class Chart(Display):
    """A drawn chart: an image with its text alternative.

    ``png`` is the picture as bytes. ``facts`` are its main figures in words.
    """

    def __init__(
        self, png: bytes, title: str, alt: str, label: str, facts: Mapping[str, str]
    ) -> None:
        self.png = png
        self.title = title
        self.alt = alt
        self.label = label
        self.facts = dict(facts)

    def html(self) -> str:
        picture = base64.b64encode(self.png).decode()
        facts = "".join(
            f"<br>{escape(name)}: {escape(fact)}" for name, fact in self.facts.items()
        )
        return (
            "<figure style='margin:.5em 0'>"
            f"<img alt='{escape(f'{self.title}. {self.alt}')}' "
            f"src='data:image/png;base64,{picture}' "
            f"width='{WIDTH * SHOWN_DPI:.0f}' style='max-width:100%;height:auto'>"
            "<figcaption><details><summary><small>In words</small></summary><small>"
            f"{escape(self.alt)}{facts}</small></details></figcaption></figure>"
        )

    def text(self) -> str:
        facts = [f"  {name}: {fact}" for name, fact in self.facts.items()]
        return "\n".join([f"{self.title} ({self.label})", self.alt, *facts])


class Canvas:
    """One figure in the workbook's style, while it is drawn.

    On leaving the context it becomes ``chart``. ``height`` is in inches. ``grid``
    is (rows, columns) of panels with the same scales; ``axes`` is the first one.
    """

    def __init__(
        self,
        title: str,
        alt: str,
        label: str,
        *,
        height: float,
        grid: tuple[int, int] = (1, 1),
    ) -> None:
        self.title = title
        self.alt = alt
        self.label = check_label(label)
        self.height = min(max(height, 1.8), TALLEST)
        self.grid = grid
        self.facts: dict[str, str] = {}
        self.chart: Chart

    def __enter__(self) -> Self:
        # Here and not above: a notebook without a chart need not wait for it.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        _drawing.acquire()
        self.figure = Figure((WIDTH, self.height), facecolor="white")
        FigureCanvasAgg(self.figure)
        foot = 0.22 / self.height  # the label stands there
        self.figure.set_layout_engine("constrained", rect=(0, foot, 1, 1 - foot))
        panels = self.figure.subplots(
            *self.grid, squeeze=False, sharex=True, sharey=True
        )
        self.panels: list[Axes] = list(panels.flat)
        self.axes = self.panels[0]
        self._write_around()
        for axes in self.panels:
            _style(axes)
        return self

    def __exit__(self, failed: type | None, *_: object) -> None:
        try:
            if failed is None:
                png = _png(self.figure)
                self.chart = Chart(png, self.title, self.alt, self.label, self.facts)
        finally:
            _drawing.release()

    def _write_around(self) -> None:
        title = "\n".join(textwrap.wrap(self.title, 74))
        self.figure.suptitle(
            title, x=0.01, ha="left", fontsize=TEXT + 2, fontweight="bold", color=INK
        )
        corner = {"ha": "right", "va": "bottom", "fontsize": SMALL, "style": "italic"}
        self.figure.text(0.995, 0.005, self.label, color="#555555", **corner)

    def label_axes(self, x: str, y: str) -> None:
        self.axes.set_xlabel(x, fontsize=TEXT, color=INK)
        self.axes.set_ylabel(y, fontsize=TEXT, color=INK)

    def legend(self, title: str | None = None) -> None:
        """Above the axes, where it covers nothing. None when there is one series."""
        handles, names = self.axes.get_legend_handles_labels()
        if len(names) < 2 and not title:
            return
        self.axes.legend(
            handles,
            names,
            title=title,
            title_fontsize=SMALL,
            alignment="left",
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=min(len(names), 4),
            fontsize=SMALL,
            frameon=False,
        )

    def set_scales(self, log: str) -> None:
        """``log`` is "", "x", "y" or "xy"; figures are written out, not as powers."""
        if log not in ("", "x", "y", "xy"):
            raise ValueError(f"log is '', 'x', 'y' or 'xy', not {log!r}")
        for name in log:
            getattr(self.axes, f"set_{name}scale")("log")
            axis = getattr(self.axes, f"{name}axis")
            axis.set_major_formatter(_written_out())
            axis.set_minor_formatter(_written_out())

    def annotate(self, text: str, spot: tuple[float, float]) -> None:
        """Point at a spot of the picture, in the axes' own units."""
        self.axes.annotate(
            text,
            spot,
            xytext=(0, 30),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
            color=INK,
            arrowprops={"arrowstyle": "->", "color": INK},
            bbox={"boxstyle": "round", "fc": "white", "ec": FAINT},
        )

    def upright(self, x: float, text: str) -> None:
        """A line at ``x`` through the whole picture, named beside it."""
        self.axes.axvline(x, color=INK, linestyle=":", linewidth=1.5)
        self.axes.annotate(
            text,
            (x, 0.98),
            xycoords=self.axes.get_xaxis_transform(),
            xytext=(-3, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=SMALL,
            color=INK,
            bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
        )


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=SMALL, colors=INK, length=3)
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)


def _written_out() -> Formatter:
    """Of a logarithmic axis: those figures that matplotlib would show, as 10,000."""
    from matplotlib.ticker import LogFormatter

    class WrittenOut(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return number(x) if super().__call__(x, pos) else ""

    return WrittenOut()


def _png(figure: Figure) -> bytes:
    from PIL import Image  # matplotlib needs it anyway

    figure.set_dpi(STORED_DPI)
    figure.canvas.draw()
    shape = figure.canvas.get_width_height()
    pixels = Image.frombuffer("RGBA", shape, figure.canvas.buffer_rgba())
    stored = io.BytesIO()
    pixels.convert("RGB").quantize(STORED_COLOURS).save(stored, "png", optimize=True)
    return stored.getvalue()
