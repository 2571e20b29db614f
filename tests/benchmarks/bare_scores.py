"""The least that a library can do of each way of helpers.servers.scores.

No numbers that outlive a client, no history, no bounds, no heartbeat, no resume: a list
of subscribers, and the library's own call for each. ``POST /publish?count=5`` makes it
tell five events; :class:`Driven` lets a ScoreServer do the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from time import perf_counter

from aiohttp import web
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve

from helpers.server import BACKLOG, HTTPServer
from helpers.servers.scores import ScoreServer

FACTS = {
    "match": "Harbour – Hillside",
    "minute": 57,
    "score": [2, 1],
    "team": "Harbour",
}


class Driven(ScoreServer):
    """A ScoreServer that publishes when a benchmark asks it to."""

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [*super().routes(), web.post("/publish", self._publish)]

    async def _publish(self, request: web.Request) -> web.Response:
        for _ in range(int(request.query["count"])):
            self.publish("goal", **FACTS)
        return web.Response()


class Bare(HTTPServer):
    """All ways with the same addresses and the same events, and nothing beside."""

    async def open(self, host: str, port: int) -> int:
        self._events: list[bytes] = []
        self._news = asyncio.Event()
        self._streams: list[tuple[web.StreamResponse, bytes]] = []
        self._connections: set[ServerConnection] = set()
        self._sockets: Server = await serve(
            self._keep, host, 0, compression=None, backlog=BACKLOG
        )
        return await super().open(host, port)

    async def close(self) -> None:
        self._sockets.close()
        await super().close()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.get("/events", self._poll),
            web.get("/stream", self._event_stream),
            web.get("/lines", self._json_lines),
            web.get("/websocket", self._where),
            web.post("/publish", self._publish),
        ]

    async def _publish(self, request: web.Request) -> web.Response:
        for _ in range(int(request.query["count"])):
            event = self._next()
            self._events.append(event)
            self._news.set()
            self._news.clear()
            for response, form in self._streams:
                await response.write(form % event)
            broadcast(self._connections, event, text=True)
        return web.Response()

    def _next(self) -> bytes:
        members = {"id": len(self._events) + 1, "kind": "goal", **FACTS}
        members["born"] = perf_counter()
        return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()

    async def _poll(self, request: web.Request) -> web.Response:
        since = int(request.query["since"])
        if "wait" in request.query and since == len(self._events):
            await self._news.wait()
        new = b",".join(self._events[since:])
        body = b'{"events":[%b],"last":%d}' % (new, len(self._events))
        return web.Response(body=body, content_type="application/json")

    async def _event_stream(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, "text/event-stream", b"data: %b\n\n")

    async def _json_lines(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, "application/x-ndjson", b"%b\n")

    async def _stream(
        self, request: web.Request, kind: str, form: bytes
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        place = response, form
        self._streams.append(place)
        try:
            await asyncio.Event().wait()
        finally:
            self._streams.remove(place)
        return response

    async def _where(self, _: web.Request) -> web.Response:
        return web.json_response({"port": self._sockets.sockets[0].getsockname()[1]})

    async def _keep(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            self._connections.discard(connection)
