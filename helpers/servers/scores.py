"""ScoreServer: one list of match events, and five ways to hear of them.

    GET /events?since=57           short polling: what came after 57, at once
    GET /events?since=57&wait=20   long polling: the same, or wait for it (RFC 6202)
    GET /stream                    an event stream for EventSource (HTML, section 9.2)
    GET /lines                     the same events as JSON lines, for comparison
    ws://…/                        the same by WebSocket, at ``server.sockets``

    GET /                          a page that shows the scores
    GET /six-streams               a page that opens ten streams to one host
    GET /websocket                 where the WebSocket is: {"port": …, "url": …}

All ways send the same JSON for an event. All take ``since``, the number of the last
event that the client has. A poll without it means 0, all that is kept; a stream
without it begins with what comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

from helpers.servers import sse
from helpers.servers.fan_out import Dropped, FanOut, Full, Limits
from helpers.servers.feed import Event, Feed
from helpers.servers.http_stream import EVENT_STREAM, JSON_LINES, Form, HTTPStream
from helpers.servers.matches import match_events
from helpers.servers.problem import Problem, ProblemServer
from helpers.servers.score_sockets import ScoreSockets
from helpers.servers.since import since_of_poll, since_of_stream

__all__ = ["ScoreServer"]

PAGES = Path(__file__).with_name("pages")
POLLED = 100  # events in one answer; the next request gets what is left
# A held request is safe from impatient proxies for so long (RFC 6202, section 5.5).
MAX_WAIT = 30.0


class ScoreServer(ProblemServer):
    """Match events at random moments, or published by hand; or both.

    every        seconds between events on average, at moments of chance (a Poisson
                 process); None for :meth:`publish` alone
    seed         the events and their moments are drawn from it
    history      how many events are kept for those who come back
    heartbeat    seconds between signs of life on a stream
    retry        seconds that an EventSource is told to wait before it reconnects
    max_wait     the longest that a long poll is held, in seconds
    lifetime     seconds after which an HTTP stream ends, for its client to come back.
                 A proxy may keep a stream that its own client has left long ago
                 (jupyter-server-proxy does, for two hours): no write ever fails.
    limits       what a subscriber may take (see :class:`Limits`)

    The list outlives a stop: after another start the numbers go on. It does not
    outlive its process, whose successor counts from 1; a client that then names a
    number that was not given out yet is told ``"missed": null``.
    """

    def __init__(
        self,
        *,
        every: float | None = None,
        seed: int = 0,
        history: int = 1000,
        heartbeat: float = 15.0,
        retry: float = 1.0,
        max_wait: float = MAX_WAIT,
        lifetime: float = 300.0,
        limits: Limits | None = None,
        websocket_port: int = 0,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        _check_seconds(every=every, heartbeat=heartbeat, lifetime=lifetime)
        self.every = every
        self.seed = seed
        self.heartbeat = heartbeat
        self.max_wait = max_wait
        self.lifetime = lifetime
        self.limits = limits or Limits()
        self.sockets = ScoreSockets(self, port=websocket_port)
        self._retry = sse.retry(retry)
        self._feed = Feed(history)
        self._happening = match_events(seed)
        self._chances = random.Random(seed)
        self._numbering = threading.Lock()
        self._loop_thread = 0
        self._queued = 0  # events on their way to the loop, from other threads
        self._fan_out = FanOut(self._feed, self.limits)
        self._tasks: list[asyncio.Task[None]] = []

    # -- what a notebook asks ------------------------------------------------------

    def publish(self, kind: str, **facts: object) -> Event:
        """Send an event to all who listen: ``publish("goal", score=[1, 0])``.

        From any thread; returns at once, with the event, which is born now. Raises
        RuntimeError when the server does not run, ValueError or TypeError for what
        can not be sent.
        """
        # Under one lock, so that events arrive in the order of their numbers.
        with self._numbering:
            if not self._tasks:
                raise RuntimeError(f"{self.name} does not run: start it, or use `with`")
            event = self._feed.number(kind, facts)
            if self._queued == 0 and threading.get_ident() == self._loop_thread:
                self._fan_out.publish(event)
            else:
                self._queued += 1
                self.call_soon(self._publish_queued, event)
        return event

    def _publish_queued(self, event: Event) -> None:
        with self._numbering:
            self._queued -= 1
        self._fan_out.publish(event)

    @property
    def events(self) -> list[Event]:
        """The events that are kept, oldest first."""
        return self._feed.events

    @property
    def last_id(self) -> int:
        """The number of the newest event that was published; 0 before the first."""
        return self._feed.numbered

    @property
    def subscribers(self) -> int:
        """Streams that are open and polls that are held, now."""
        return self._fan_out.admitted

    @property
    def dropped(self) -> list[Dropped]:
        """Who was sent away since the start because it read too slowly."""
        return list(self._fan_out.dropped)

    def _card(self) -> dict[str, str]:
        card = super()._card()
        card["subscribers"] = str(self.subscribers)
        return card

    # -- life ----------------------------------------------------------------------

    async def open(self, host: str, port: int) -> int:
        self._fan_out = FanOut(self._feed, self.limits)
        self._loop_thread, self._queued = threading.get_ident(), 0
        await self.sockets.open(self._fan_out, self.keep_error)
        port = await super().open(host, port)
        self._tasks = [asyncio.create_task(self._beat())]
        if self.every is not None:
            self._tasks.append(asyncio.create_task(self._play(self.every)))
        return port

    async def close(self) -> None:
        with self._numbering:  # what was published until now still arrives
            tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        self._fan_out.close()
        await asyncio.gather(self.sockets.close(), super().close())

    async def _play(self, every: float) -> None:
        """Keep to a timetable, so that a late wake-up does not shift what follows."""
        due = time.perf_counter()
        for kind, facts in self._happening:
            due += self._chances.expovariate(1 / every)
            await asyncio.sleep(due - time.perf_counter())
            self.publish(kind, **facts)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat)
            self._fan_out.beat()

    # -- the ways ------------------------------------------------------------------

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.get("/events", self.poll),
            web.get("/stream", self.event_stream, allow_head=False),
            web.get("/lines", self.json_lines, allow_head=False),
            web.get("/websocket", self.where_the_websocket_is),
            web.get("/", self.scores_page),
            web.get("/six-streams", self.six_streams_page),
            web.static("/pages", PAGES),
        ]

    async def poll(self, request: web.Request) -> web.Response:
        """Short polling; with ``wait``, long polling."""
        since = since_of_poll(request)
        wait = min(_query_seconds(request, "wait"), self.max_wait)
        if wait and since == self._feed.last:
            with _room(self._fan_out):
                await self._fan_out.wait_for_news(wait)
        page = self._feed.since(since, POLLED)
        # Joined by hand: each event is JSON already, and was encoded once.
        body = b'{"events":[%b],"last":%d,"missed":%b}' % (
            b",".join([event.json for event in page.events]),
            page.last,
            b"null" if page.missed is None else b"%d" % page.missed,
        )
        return web.Response(
            body=body,
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    async def event_stream(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, EVENT_STREAM, opening=self._retry)

    async def json_lines(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, JSON_LINES)

    async def _stream(
        self, request: web.Request, form: Form, *, opening: bytes = b""
    ) -> web.StreamResponse:
        since = since_of_stream(request)
        response = web.StreamResponse(headers=form.headers)
        with _room(self._fan_out):
            # The client may be gone by now: then there is nobody to answer.
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await response.write(opening)
                await self._serve(HTTPStream(request, response, form), since)
        return response

    async def _serve(self, stream: HTTPStream, since: int | None) -> None:
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(self.lifetime, stream.end)
        try:
            await self._fan_out.follow(stream, since)
            await stream.finish(self.limits.patience)
        except BaseException:  # cancelled, too: nobody waits for what is unsent
            stream.transport.abort()
            raise
        finally:
            alarm.cancel()

    async def where_the_websocket_is(self, _: web.Request) -> web.Response:
        """For who knows the first port only: a page, or this server in a child."""
        place = {"port": self.sockets.port, "url": self.sockets.make_url("/")}
        return web.json_response(place)

    # -- the pages -----------------------------------------------------------------

    async def scores_page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGES / "scores.html")

    async def six_streams_page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGES / "six-streams.html")


def _check_seconds(**durations: float | None) -> None:
    for name, value in durations.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} is in seconds, above zero; not {value!r}")


@contextlib.contextmanager
def _room(fan_out: FanOut) -> Iterator[None]:
    """A subscriber's place, for as long as it listens; 503 when all are taken."""
    try:
        with fan_out.admit():
            yield
    except Full:
        raise Problem(
            503,
            "All places are taken. Come back in a while.",
            headers={"Retry-After": "5"},
        ) from None


def _query_seconds(request: web.Request, name: str) -> float:
    text = request.query.get(name, "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise Problem(400, f"{name} is a number of seconds, not {text[:20]!r}.")
    return seconds
