"""A server of event streams that does to each connection what it was told to.

    GET /stream       the acts in turn, one for each connection; then ``otherwise``

An act is an async function of the server, the connection and the request. What the
client heard comes back by another way, the notebook: a plain TCP connection on which
it writes a line for each event. So the server can wait until an event was heard, and
can have the client cancelled at a moment of its choice.

The feed that most acts serve from is numbered: events 1, 2, 3, ..., and after
Last-Event-ID: 7 comes event 8.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from aiohttp import web

from helpers.lesson.check_process import time_scale
from helpers.server import HTTPServer
from helpers.servers import sse

__all__ = [
    "Act",
    "Connection",
    "HostileStream",
    "answer",
    "block_of",
    "cut",
    "data_of",
    "end",
    "event_of",
    "finish",
    "go_down",
    "hang_up",
    "reset",
    "say",
    "serve",
]

# Nothing moves for so long: then nothing will. A client hears within milliseconds,
# and on a busy machine within tenths of a second.
QUIET = 5.0  # seconds
MOST = 20  # connections; whoever still comes then would come for ever
DOWN = 1.0  # seconds


@dataclass
class Connection:
    """One request from when it came until it was let go. Times by ``time.monotonic``.

    ``last_event_id`` and ``accept`` are its headers, None where it has none. ``went``
    is the moment *before* the server lets go, so that what passes until the next
    connection is never less than what the client waited.
    """

    number: int
    last_event_id: str | None
    accept: str | None
    came: float
    went: float | None = None
    outcome: str = ""

    def end(self, outcome: str) -> None:
        """What comes first counts."""
        if self.went is None:
            self.went, self.outcome = time.monotonic(), outcome


Act = Callable[
    ["HostileStream", Connection, web.Request], Awaitable[web.StreamResponse]
]
Ending = Callable[
    [Connection, web.Request, web.StreamResponse], Awaitable[web.StreamResponse]
]


class HostileStream(HTTPServer):
    """``acts``: what the first connections get in turn; all others, ``otherwise``.

    ``notebook`` is where the client writes down what it heard. ``cancelled`` is the
    moment at which it was to be cancelled; ``over`` says whether its function has
    ended, and ``left_open`` how many connections it left. ``stalled``: something was
    sent, waited for, and never heard.
    """

    def __init__(self, *acts: Act, otherwise: Act | None = None) -> None:
        super().__init__()
        self.connections: list[Connection] = []
        self.heard: list[Any] = []
        self.notebook: tuple[str, int] = ("", 0)
        self.stalled = False
        self.cancelled: float | None = None
        self.over = False
        self.left_open = 0
        self._acts: Sequence[Act] = acts
        self._otherwise = otherwise or answer(204)
        self._notes: asyncio.Server | None = None
        self._client: asyncio.StreamWriter | None = None
        self._changed = asyncio.Event()
        self._coming_back: asyncio.Task[None] | None = None

    # -- life -------------------------------------------------------------------------

    async def open(self, host: str, port: int) -> int:
        self._notes = await asyncio.start_server(self._take_notes, host, 0)
        self.notebook = self._notes.sockets[0].getsockname()[:2]
        return await super().open(host, port)

    async def close(self) -> None:
        if self._coming_back is not None:
            self._coming_back.cancel()
        if self._client is not None:
            self._client.close()
        if self._notes is not None:
            self._notes.close()
        await super().close()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [web.get("/stream", self.stream, allow_head=False)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        number, headers = 1 + len(self.connections), request.headers
        said = headers.get("Last-Event-ID"), headers.get("Accept")
        connection = Connection(number, *said, time.monotonic())
        self.connections.append(connection)
        self._tell()
        dealt = number <= len(self._acts)
        act = self._acts[number - 1] if dealt else self._otherwise
        try:
            response = await act(self, connection, request)
            connection.end(str(response.status))
            return response
        finally:
            connection.end("client hung up")
            self._tell()

    async def go_down(self, seconds: float) -> None:
        """Close the port, and come back to it so much later."""

        async def come_back() -> None:
            await asyncio.sleep(seconds)
            place = self._runner, self.host, port
            await web.TCPSite(*place, reuse_address=True).start()

        [site] = self._runner.sites
        port = self._runner.addresses[0][1]
        await site.stop()
        self._coming_back = asyncio.create_task(come_back())

    # -- what the client heard --------------------------------------------------------

    async def _take_notes(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._client = writer
        with contextlib.suppress(ConnectionError):  # a client may be ended any time
            async for line in reader:
                await self._take_note(json.loads(line), writer)

    async def _take_note(
        self, note: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        if "heard" in note:
            event = note["heard"]
            self.heard.append(tuple(event) if isinstance(event, list) else event)
            self._tell()
        else:
            self.over = True
            await self._see_it_off(note["tidy"])
            writer.write(b"seen\n")

    async def _see_it_off(self, tidy: bool) -> None:
        """It is over. A client that leaves connections open gets a moment."""
        if tidy:
            until = time.monotonic() + QUIET * time_scale()
            # aiohttp tells nobody when a connection closes.
            while self._open() and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            self.left_open = self._open()

    def _open(self) -> int:
        return len(self._runner.server.connections)

    def cancel_client(self) -> None:
        """Have whoever called the learner's function cancel it."""
        if self._client is not None and self.cancelled is None:
            self.cancelled = time.monotonic()
            self._client.write(b"cancel\n")

    # -- waiting ----------------------------------------------------------------------

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def until_heard(self, count: int) -> None:
        """Wait until so many events were heard in all.

        When nothing is heard for long, ``stalled`` is true, and nothing comes any more.
        """
        while len(self.heard) < count:
            try:
                async with asyncio.timeout(QUIET * time_scale()):
                    await self._changed.wait()
            except TimeoutError:
                self.stalled = True
                await asyncio.Event().wait()

    # -- what the journal says --------------------------------------------------------

    @property
    def capture(self) -> list[Connection]:
        """What is drawn when a run failed."""
        return self.connections

    @property
    def dismissed(self) -> bool:
        """Whether a client was told to come no more."""
        return any(c.outcome == "204" for c in list(self.connections))

    def after_dismissal(self) -> int:
        """How many connections came after the first that was answered 204."""
        outcomes = [connection.outcome for connection in list(self.connections)]
        return len(outcomes) - 1 - outcomes.index("204") if "204" in outcomes else 0

    def pauses(self) -> list[float]:
        """Between one connection's end and the next one's beginning, in seconds."""
        pairs = pairwise(list(self.connections))
        return [after.came - (before.went or after.came) for before, after in pairs]


# -- the feed -------------------------------------------------------------------------


def data_of(number: int) -> str:
    return f"{number} : 0 in Zürich"


def event_of(number: int) -> tuple[str, str, str]:
    return ("goal", data_of(number), str(number))


def block_of(number: int) -> bytes:
    return sse.block(data_of(number), event="goal", id=number)


def number_of(last_event_id: str | None) -> int:
    """0 for none, and for what is not from here."""
    text = last_event_id or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


# -- how a stream ends ----------------------------------------------------------------


async def end(
    connection: Connection, _: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    """In good order, as a server does that wants its clients to come back."""
    connection.end("ended")
    return response


async def cut(
    connection: Connection, request: web.Request, _: web.StreamResponse
) -> web.StreamResponse:
    """The connection closes, and the body has no end."""
    connection.end("cut")
    request.transport.close()
    return await _for_ever()


async def reset(
    connection: Connection, request: web.Request, _: web.StreamResponse
) -> web.StreamResponse:
    """As when a cable is pulled and something on the way says so (RST)."""
    connection.end("cut")
    request.transport.abort()
    return await _for_ever()


async def _for_ever() -> web.StreamResponse:
    """Until the connection is gone or the server stops: both cancel the handler."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


# -- acts -----------------------------------------------------------------------------


def say(*words: bytes, kind: str = "text/event-stream", ending: Ending = end) -> Act:
    """These bytes, whatever the client asked for."""

    async def act(
        _: HostileStream, connection: Connection, request: web.Request
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        for word in words:
            await response.write(word)
        return await ending(connection, request, response)

    return act


def serve(
    count: int,
    *,
    first: bytes = b"",
    piece: Callable[[bytes], int] = lambda _: 0,
    ending: Ending = end,
) -> Act:
    """The next ``count`` events of the feed, and a piece of the one after these."""

    async def act(
        server: HostileStream, connection: Connection, request: web.Request
    ) -> web.StreamResponse:
        begin = 1 + number_of(connection.last_event_id)
        words = [block_of(number) for number in range(begin, begin + count)]
        unfinished = block_of(begin + count)
        words.append(unfinished[: piece(unfinished)])
        return await say(first, *words, ending=ending)(server, connection, request)

    return act


def finish(total: int) -> Act:
    """All that is left of the feed; 204 when nothing is."""

    async def act(
        server: HostileStream, connection: Connection, request: web.Request
    ) -> web.StreamResponse:
        left = total - number_of(connection.last_event_id)
        if left <= 0 or connection.number > MOST:
            return web.Response(status=204)
        return await serve(left)(server, connection, request)

    return act


def answer(status: int) -> Act:
    """This status, and no stream."""

    async def act(*_: object) -> web.Response:
        return web.Response(status=status)

    return act


async def hang_up(
    _: HostileStream, connection: Connection, request: web.Request
) -> web.StreamResponse:
    """The connection breaks before there is an answer."""
    return await reset(connection, request, web.StreamResponse())


async def go_down(
    server: HostileStream, connection: Connection, request: web.Request
) -> web.StreamResponse:
    """Nobody listens for a while, as when a server starts anew."""
    await server.go_down(DOWN)
    return await hang_up(server, connection, request)
