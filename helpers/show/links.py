"""Links to the pages of a server that runs beside the notebook."""

from __future__ import annotations

import os
from collections.abc import Sequence

from helpers.server import Startable
from helpers.show.display import Display, escape

__all__ = ["Links", "links"]


def links(server: Startable, *paths: str) -> Links:
    """Where to open these pages of a server that runs: ``links(chat, "/")``."""
    return Links(server, paths)


class Links(Display):
    """Pages of a server, through JupyterLab's proxy and straight.

    The first works wherever JupyterLab runs, as on Binder; the other one in a browser
    on the machine of the kernel.
    """

    def __init__(self, server: Startable, paths: Sequence[str]) -> None:
        # JupyterHub, and so Binder, tells its notebook servers where they are.
        base = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")
        self._name = server.name
        self._pages = [
            (path, f"{base}proxy/{server.port}{path}", server.make_url(path))
            for path in paths
        ]

    def html(self) -> str:
        items = "".join(
            f"<li>{_link(proxied, f'{self._name}: {path}')} "
            f"<small>(without JupyterLab: {_link(straight, straight)})</small></li>"
            for path, proxied, straight in self._pages
        )
        return f"<ul>{items}</ul>"

    def text(self) -> str:
        return "\n".join(f"{self._name}: {straight}" for *_, straight in self._pages)


def _link(address: str, text: str) -> str:
    return f"<a href='{escape(address)}' target='_blank'>{escape(text)}</a>"
