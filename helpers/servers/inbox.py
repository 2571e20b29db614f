"""Inbox: a server that is called back, and keeps what it was told.

with Inbox() as inbox:
    address = inbox.make_url("/done")    # give this to who shall call
    inbox.wait()                         # the first JSON that was POSTed
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from helpers.servers.problem import Problem, ProblemServer

__all__ = ["Inbox"]

REMEMBERED = 1000


class Inbox(ProblemServer):
    """Takes JSON by POST at any address; ``received`` has the last 1,000, in order."""

    max_body = 64 * 1024

    def __init__(self, **server: Any) -> None:
        super().__init__(**server)
        self.received: list[Any] = []
        self._something = threading.Event()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [web.post("/{anywhere:.*}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        try:
            message = json.loads(await request.text())
        except ValueError:  # UnicodeDecodeError is one too
            raise Problem(400, "This inbox takes JSON, and that was none.") from None
        self.received.append(message)
        del self.received[:-REMEMBERED]
        self._something.set()
        return web.Response(status=204)

    def wait(self, seconds: float = 30.0) -> Any:
        """The first message, once there is one.

        Raises TimeoutError when none came within ``seconds``.
        """
        if not self._something.wait(seconds):
            raise TimeoutError(f"nobody called back within {seconds:g} s")
        return self.received[0]
