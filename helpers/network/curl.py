"""The curl command line that sends a captured request once more."""

from __future__ import annotations

import shlex

import h11

__all__ = ["curl_line"]

# What curl sends by itself, and what only makes the line longer.
CURL_KNOWS = {"host", "accept", "accept-encoding", "connection", "user-agent"}
CURL_KNOWS |= {"content-length", "transfer-encoding"}


def curl_line(
    head: h11.Request, body: bytes, url: str | None, *, lasting: bool = False
) -> str:
    """The command line that sends the same request to ``url``.

    Without a ``url``, to the Host that the request names (RFC 9112, section 3.2).
    With ``lasting`` curl shows each part of the answer as soon as it comes (-N).
    """
    if url is None:
        host = dict(head.headers).get(b"host", b"") or b"SERVER"
        url = "http://" + host.decode("latin-1")
    method, target = head.method.decode(), head.target.decode("latin-1")
    upgrade = b"upgrade" in dict(head.headers)
    parts = ["curl", "-I" if method == "HEAD" else "-i"]
    if lasting or upgrade:
        parts += ["-N"]
    if method not in ("HEAD", "POST" if body else "GET"):
        parts += ["-X", method]
    if set(target) & set("[]{}"):
        parts += ["--globoff"]
    if "/." in target:
        parts += ["--path-as-is"]
    for name, value in head.headers:
        if _is_to_be_told(name.decode("latin-1"), lasting, upgrade):
            parts += ["-H", _curl_header(name.decode("latin-1"), value)]
    if body and b"content-type" not in dict(head.headers):
        parts += ["-H", "content-type:"]  # else curl adds one
    if body:
        parts += _curl_body(body)
    return shlex.join([*parts, url + target])


def _is_to_be_told(name: str, lasting: bool, upgrade: bool) -> bool:
    """A proxy may stream only for who accepts a stream; an upgrade needs both names."""
    if (lasting and name == "accept") or (upgrade and name == "connection"):
        return True
    return name not in CURL_KNOWS


def _curl_header(name: str, value: bytes) -> str:
    """A header without value is written with a semicolon, as ``name:`` removes it."""
    return f"{name}: {value.decode('latin-1')}" if value else f"{name};"


def _curl_body(body: bytes) -> list[str]:
    if len(body) <= 200 and body.isascii() and body.decode().isprintable():
        return ["--data-raw", body.decode()]
    return ["--data-binary", "@FILE"]
