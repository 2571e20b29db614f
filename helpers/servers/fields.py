"""What a request's header fields ask of its handler (RFC 9110, sections 12 and 13).

Accept, Content-Type, If-Match and If-None-Match, for any resource.
"""

from __future__ import annotations

import re

from aiohttp import web

from helpers.servers.problem import Problem

__all__ = ["check_preconditions", "require_accepts", "require_content_type"]


def require_accepts(request: web.Request, media_type: str) -> None:
    """Raises Problem 406 when Accept rules ``media_type`` out (section 12.5.1)."""
    accept = ",".join(request.headers.getall("Accept", [])) or "*/*"
    accepted: dict[str, bool] = {}
    for media_range in accept.lower().split(","):
        name, *parameters = (part.strip() for part in media_range.split(";"))
        excluded = any(re.fullmatch(r"q\s*=\s*0(\.0*)?", p) for p in parameters)
        accepted[name] = not excluded
    # The most specific range decides.
    for name in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if name in accepted:
            if accepted[name]:
                return
            break
    raise Problem(406, f"This resource speaks {media_type}; your Accept excludes it.")


def require_content_type(request: web.Request, media_type: str) -> None:
    """Raises Problem 415 when the body is something else (section 15.5.16)."""
    if request.content_type == media_type:
        return
    # A response says what it would have taken (section 12.5.1; RFC 5789, section 2.2).
    name = "Accept-Patch" if request.method == "PATCH" else "Accept"
    raise Problem(
        415,
        f"Send Content-Type: {media_type}, not {request.content_type}.",
        headers={name: media_type},
    )


def check_preconditions(request: web.Request, etag: str | None) -> bool:
    """Whether to go on, by If-Match and then If-None-Match (section 13.2.2).

    ``etag`` is that of the resource now, in its quotes; None when there is none.
    False for a GET or HEAD means 304: the client has it already. Raises Problem 412
    when a precondition does not hold.
    """
    if "If-Match" in request.headers and not _names(request, "If-Match", etag):
        raise _precondition_failed("If-Match", etag)
    if not _names(request, "If-None-Match", etag, weak=True):
        return True
    if request.method in ("GET", "HEAD"):
        return False
    raise _precondition_failed("If-None-Match", etag)


def _names(
    request: web.Request, header: str, etag: str | None, *, weak: bool = False
) -> bool:
    """Whether ``header`` names ``etag``; ``*`` names whatever exists.

    If-Match compares strongly, where W/ tags never match; If-None-Match compares
    weakly (section 8.8.3.2).
    """
    wanted = ",".join(request.headers.getall(header, [])).strip()
    if etag is None or wanted == "*":
        return etag is not None
    tags = re.findall(r'(W/)?("[^"]*")', wanted)
    return any(tag == etag and (weak or not mark) for mark, tag in tags)


def _precondition_failed(header: str, etag: str | None) -> Problem:
    now = f"its ETag is {etag}" if etag else "it does not exist"
    detail = f"{header} does not hold: {now}. Get it again, then decide."
    return Problem(412, detail, headers={"ETag": etag} if etag else {})
