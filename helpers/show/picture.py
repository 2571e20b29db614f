"""A stored picture, such as a screenshot, with its words and where it is from."""

from __future__ import annotations

import base64
from pathlib import Path

from helpers.show.canvas import required
from helpers.show.display import Display, check_label, escape

__all__ = ["Picture"]


class Picture(Display):
    """The PNG file at ``path``, shown ``width`` pixels wide.

    ``title`` says the finding, ``alt`` what is to be seen, and ``label`` where it is
    from, as with a chart.
    """

    def __init__(
        self, path: Path, *, width: int, title: str, alt: str, label: str
    ) -> None:
        required(title=title, alt=alt)
        self.png = path.read_bytes()
        self.width = width
        self.title = title
        self.alt = alt
        self.label = check_label(label)

    def html(self) -> str:
        data = base64.b64encode(self.png).decode()
        return (
            f"<figure style='margin:.5em 0'><strong>{escape(self.title)}</strong><br>"
            f"<img alt='{escape(self.alt)}' src='data:image/png;base64,{data}' "
            f"width='{self.width}' style='max-width:100%;height:auto'>"
            f"<figcaption><small>{escape(self.label)}</small></figcaption></figure>"
        )

    def text(self) -> str:
        return f"{self.title} ({self.label})\n{self.alt}"
