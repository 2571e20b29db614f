"""Origin: which page opened this WebSocket? The browser says, and a page can not lie.

The same-origin policy does not hold for WebSockets: any page on the web may open one
to 127.0.0.1, with the cookies of whoever looks at it. The server has to refuse
(RFC 6455, section 10.2).
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

__all__ = ["SAME_HOST", "is_allowed", "is_same_host"]

SAME_HOST = "same host"  # stands for the host that the request itself names

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed(
    origin: str | None, host: str, allowed: Collection[str] = (SAME_HOST,)
) -> bool:
    """Whether a page of ``origin`` may connect to the server that it calls ``host``.

    ``allowed`` has origins as browsers write them (``https://example.org:8443``), and
    SAME_HOST. A request without Origin comes from no browser, and needs no such
    protection: it is allowed.
    """
    if origin is None or origin in allowed:
        return True
    return SAME_HOST in allowed and is_same_host(origin, host)


def is_same_host(origin: str, host: str) -> bool:
    """Whether the Origin names the host and the port of the Host header.

    Schemes are not compared: behind a proxy that ends TLS the page's is ``https``, and
    ours is not. jupyter-server-proxy hands on both headers as the browser sent them,
    so that they agree there too, and name JupyterLab. Its own check comes before ours.
    """
    scheme, separator, authority = origin.partition("://")
    default = DEFAULT_PORTS.get(scheme)
    if default is None or not separator:
        return False  # "null", or the page of a browser's extension
    try:
        ours, theirs = (_host_and_port(text, default) for text in (host, authority))
    except ValueError:  # a port that is no number, brackets that do not close
        return False
    return ours == theirs and ours[0] is not None


def _host_and_port(authority: str, default_port: int) -> tuple[str | None, int]:
    parts = urlsplit(f"//{authority}")
    return parts.hostname, parts.port or default_port
