"""A tus server that keeps a journal, and misbehaves in the requests chosen for it.

A fault is an async function of the server, the request, and the handler that would
have answered. Faults are dealt out by method, one for each request in turn:

    HostileUploads(folder, data, {"PATCH": [lose_answer], "HEAD": [fall_silent]})
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from helpers.network.link import Link
from helpers.servers.problem import Problem
from helpers.servers.upload_file import Upload, Writer
from helpers.servers.uploads import UploadServer

__all__ = [
    "Asked",
    "Fault",
    "HostileUploads",
    "answer",
    "cut_half_way",
    "expire",
    "fall_silent",
    "forget",
    "late_bytes",
    "lose_answer",
]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = Callable[
    ["HostileUploads", web.Request, Handler], Awaitable[web.StreamResponse]
]

LIFETIME = 3600.0  # seconds
SOME = 16 * 1024  # bytes


@dataclass(frozen=True)
class Asked:
    """One request as it came in.

    ``claimed`` is its Upload-Offset, ``stored`` how many bytes the upload had at that
    moment, ``size`` the length of the body; None for what it did not say.
    """

    method: str
    claimed: int | None
    stored: int
    size: int | None

    @property
    def is_guess(self) -> bool:
        """Whether it sends bytes from elsewhere than where the server stands."""
        return self.method == "PATCH" and self.claimed not in (None, self.stored)

    @property
    def sent_again(self) -> int:
        """How many bytes of its body the server had already."""
        if not self.is_guess:
            return 0
        overlap = max(0, self.stored - self.claimed)
        return overlap if self.size is None else min(overlap, self.size)


class HostileUploads(UploadServer):
    """``data`` is what the client uploads; some faults need to know it.

    Set ``link`` once there is one: the faults that cut use it.
    """

    link: Link

    def __init__(
        self,
        directory: str | Path,
        data: bytes,
        faults: Mapping[str, Sequence[Fault]] | None = None,
    ) -> None:
        super().__init__(directory, lifetime=LIFETIME, clock=lambda: self.now)
        self.now = time.time()
        self.data = data
        self.journal: list[Asked] = []
        self.last_refusal = ""
        self._faults = {method: iter(dealt) for method, dealt in (faults or {}).items()}
        self._furthest: dict[str, int] = {}
        self._down: list[int] = []

    def make_app(self) -> web.Application:
        app = super().make_app()
        app.middlewares.insert(0, self._note_then_answer)
        return app

    @web.middleware
    async def _note_then_answer(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        upload = self._upload_of(request)
        self._note(request, upload)
        fault = next(self._faults.get(request.method, iter(())), None)
        try:
            if fault is not None:
                return self._heed(await fault(self, request, handler))
            return self._heed(await handler(request))
        finally:
            if upload is not None:
                before = self._furthest.get(upload.id, 0)
                self._furthest[upload.id] = max(before, upload.offset)

    def _upload_of(self, request: web.Request) -> Upload | None:
        token = request.match_info.get("id")
        return next((u for u in self.uploads if u.id == token), None)

    def _note(self, request: web.Request, upload: Upload | None) -> None:
        claimed = request.headers.get("Upload-Offset", "")
        self.journal.append(
            Asked(
                request.method,
                int(claimed) if claimed.isdecimal() else None,
                upload.offset if upload is not None else 0,
                request.content_length,
            )
        )

    def _heed(self, response: web.StreamResponse) -> web.StreamResponse:
        if response.content_type == "application/problem+json":
            detail = json.loads(response.body)["detail"]
            self.last_refusal = f"The server last answered {response.status}: {detail}"
        return response

    # -- what the journal says --------------------------------------------------------

    def count(self, method: str | None = None) -> int:
        """How many requests came in, of one method or of all."""
        return sum(method in (None, asked.method) for asked in list(self.journal))

    def first_guess(self) -> Asked | None:
        """The first PATCH from an offset where the server did not stand."""
        return next((asked for asked in list(self.journal) if asked.is_guess), None)

    def sent_again(self) -> int:
        """How many bytes came though they were safe here, in this upload or another.

        Bytes that were lost on the way do not count: to send those again is right.
        """
        refused = sum(asked.sent_again for asked in list(self.journal))
        kept = list(self._furthest.values())
        return refused + sum(kept) - max(kept, default=0)

    # -- death ------------------------------------------------------------------------

    @contextmanager
    def restarting(self, down_for: float | None) -> Iterator[None]:
        """Go down when the first PATCH arrives; come back so many seconds later.

        None: not in this life. What was acknowledged is there afterwards.
        """
        fallen, over = threading.Event(), threading.Event()

        async def fall(server: HostileUploads, *_: object) -> web.StreamResponse:
            fallen.set()
            return await for_ever()

        def go_down_and_up() -> None:
            fallen.wait()
            if over.is_set():
                return
            self._down = [self.link.capture.connections]
            self.stop()
            over.wait(down_for)
            self._down.append(self.link.capture.connections)
            if down_for is not None:
                self.start()

        self._faults["PATCH"] = iter([fall])
        thread = threading.Thread(target=go_down_and_up, name="restart")
        thread.start()
        try:
            yield
        finally:
            over.set()
            fallen.set()
            thread.join()

    def tries_while_down(self) -> int:
        """How many connections were tried while nobody listened."""
        if not self._down:
            return 0
        until = [*self._down, self.link.capture.connections][1]
        return until - self._down[0]


# -- faults ---------------------------------------------------------------------------


async def for_ever() -> web.StreamResponse:
    """Until the connection breaks or the server stops: both cancel the handler."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


async def fall_silent(*_: object) -> web.StreamResponse:
    return await for_ever()


async def lose_answer(
    server: HostileUploads, request: web.Request, handler: Handler
) -> web.StreamResponse:
    await handler(request)
    server.link.cut()
    return await for_ever()


async def late_bytes(
    server: HostileUploads, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """Bytes that some box on the way still held come through before this request."""
    store_some(server, request)
    return await handler(request)


async def cut_half_way(
    server: HostileUploads, request: web.Request, _: Handler
) -> web.StreamResponse:
    """Part of the body is stored, the same part on every machine."""
    store_some(server, request)
    server.link.cut()
    return await for_ever()


def store_some(server: HostileUploads, request: web.Request) -> None:
    upload = server.store.find(request.match_info["id"])
    with Writer(upload) as writer:
        writer.write(server.data[upload.offset : upload.offset + SOME])
        writer.commit()


async def expire(
    server: HostileUploads, request: web.Request, handler: Handler
) -> web.StreamResponse:
    server.now += LIFETIME + 1
    return await handler(request)


async def forget(
    server: HostileUploads, request: web.Request, handler: Handler
) -> web.StreamResponse:
    server.store.remove(server.store.find(request.match_info["id"]))
    return await handler(request)


def answer(status: int, detail: str) -> Fault:
    """A fault: refuse with this status, after reading the body as one should."""

    async def refuse(
        server: HostileUploads, request: web.Request, _: Handler
    ) -> web.StreamResponse:
        async for _chunk in request.content.iter_any():
            pass
        return Problem(status, detail).response()

    return refuse
