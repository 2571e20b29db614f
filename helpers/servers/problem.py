"""Errors as problem documents (RFC 9457), the same shape for every refusal.

HTTP/1.1 409 Conflict
Content-Type: application/problem+json

{"type": "about:blank", "title": "Conflict", "status": 409, "detail": "…"}
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from helpers.server import HTTPServer

__all__ = ["Problem", "ProblemServer"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """Raise it in a handler to refuse a request.

    ``detail`` tells the client what was wrong and what to do. ``members`` become
    extension members of the document (RFC 9457, section 3.2). ``close`` ends the
    connection after the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
        **members: object,
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        # With the type "about:blank" the title is the status's own (section 4.2.1).
        self.title = title or HTTPStatus(status).phrase
        self.headers = dict(headers or {})
        self.close = close
        self.members = members

    def response(self) -> web.Response:
        document = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        response = web.Response(
            status=self.status,
            reason=self.title,
            headers=self.headers,
            body=json.dumps(document | self.members).encode(),
            content_type="application/problem+json",
        )
        if self.close:
            response.force_close()
        return response


class ProblemServer(HTTPServer):
    """An HTTPServer that answers every error with a problem document.

    All but one kind: bytes that are no HTTP request at all never reach a handler.
    aiohttp refuses those itself, with 400 and plain text, and closes.
    """

    def make_app(self) -> web.Application:
        app = super().make_app()
        app.middlewares.append(self._answer_with_problems)
        return app

    @web.middleware
    async def _answer_with_problems(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as error:
            problem = error
        except web.HTTPException as error:
            if error.status < 400:  # a redirect is no problem
                raise
            problem = _from_aiohttp(request, error)
        except ConnectionError:  # the client is gone, nobody to answer
            raise
        except Exception as error:
            self.keep_error(error)
            problem = Problem(
                500, f"The server failed with {type(error).__name__}; not your fault."
            )
        return problem.response()


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> Problem:
    """What aiohttp refuses by itself: an unknown path, a method, an expectation."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allow = ", ".join(sorted(error.allowed_methods))
        # 405 must say what is allowed (RFC 9110, section 15.5.6).
        return Problem(
            405, f"Here you can {allow}; not {error.method}.", headers={"Allow": allow}
        )
    if error.status == 404:
        return Problem(404, f"There is nothing at {request.path[:100]}.")
    return Problem(error.status, error.text or error.reason)
