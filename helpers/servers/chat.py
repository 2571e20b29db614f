"""ChatServer: rooms over WebSocket, with history, presence and private messages.

    GET /        the page: open it in two tabs
    GET /chat    the WebSocket; chat_protocol.py tells what goes over it

    with ChatServer() as server:
        async with connect(f"ws://127.0.0.1:{server.port}/chat") as client:
            await client.send('{"type": "join", "room": "lobby", "name": "Ann"}')

Two servers share their rooms when they share a backplane (see backplane.py).
"""

from __future__ import annotations

import contextlib
import importlib.resources
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request as HTTPRequest
from websockets.http11 import Response
from websockets.protocol import State

from helpers.server import BACKLOG, Server, error_logger
from helpers.servers.audience import Audience
from helpers.servers.backplane import Backplane, InKernelBackplane
from helpers.servers.chat_connection import ChatConnection
from helpers.servers.chat_protocol import Request
from helpers.servers.chat_room import ChatError, Event, to_json
from helpers.servers.origin import SAME_HOST, is_allowed
from helpers.servers.outbox import Outbox, WhenFull

__all__ = ["ChatServer"]

PAGES: Mapping[str, tuple[str, str]] = {
    "/": ("chat.html", "text/html; charset=utf-8"),
    "/chat.css": ("chat.css", "text/css; charset=utf-8"),
    "/chat.js": ("chat.js", "text/javascript; charset=utf-8"),
}
PAGE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    # Whatever gets into the page, it runs no script but ours and loads nothing.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}


class ChatServer(Server):
    """A chat server, which may share its rooms with others through a ``backplane``.

    ``when_full`` is what happens to a client that reads too slowly, once
    ``outbox_limit`` messages wait for it: "drop", "disconnect" or "wait" (outbox.py).
    One that does not answer a ping within ``ping_timeout`` seconds is disconnected;
    a ping goes out every ``ping_interval`` seconds. ``max_size`` bounds a message
    that comes in, in bytes; a larger one closes with 1009.

    ``allowed_origins`` has the origins of the pages that may connect (origin.py). The
    default compares Origin with Host, which works through jupyter-server-proxy, and
    stops every page of another site. It does not stop a site whose name was made to
    point here (DNS rebinding): for that name your own origins, without SAME_HOST.

    ``compression="deflate"`` takes about 30 KB more for each connection.
    """

    open_timeout = 5.0  # seconds for the handshake
    close_timeout = 1.0  # seconds for the peer's part in closing; stop() has 5
    write_limit = 32 * 1024  # bytes in asyncio's buffer, from where a client lags

    def __init__(
        self,
        *,
        backplane: Backplane | None = None,
        when_full: WhenFull | str = WhenFull.DISCONNECT,
        outbox_limit: int = 100,
        ping_interval: float = 20.0,
        ping_timeout: float = 20.0,
        max_size: int = 32 * 1024,
        allowed_origins: Collection[str] = (SAME_HOST,),
        compression: str | None = None,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        if outbox_limit < 1:
            raise ValueError(f"outbox_limit is 1 message or more; not {outbox_limit}")
        if not (ping_interval > 0 and ping_timeout > 0):
            raise ValueError("ping_interval and ping_timeout are seconds, above zero")
        if isinstance(allowed_origins, str):
            raise ValueError(f"allowed_origins is a list: [{allowed_origins!r}]")
        self.backplane = backplane
        self.when_full = WhenFull(when_full)
        self.outbox_limit = outbox_limit
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.max_size = max_size
        self.allowed_origins = tuple(allowed_origins)
        self.compression = compression
        self._connections: set[ChatConnection] = set()
        self._audiences: dict[str, Audience] = {}
        self._websockets: WebSocketServer | None = None
        self._event_ids = map(f"{secrets.token_hex(4)}-{{}}".format, itertools.count())

    # -- what a notebook asks ------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many clients are connected now, in whichever room."""
        return len(self._connections)

    @property
    def waiting(self) -> int:
        """How many messages wait in outboxes for clients that lag."""
        return sum(len(each.outbox) for each in self._connections.copy())

    # -- the life of the server ----------------------------------------------------

    async def open(self, host: str, port: int) -> int:
        self._shared = self.backplane or InKernelBackplane()
        self._pages = _read_pages()
        self._websockets = await serve(
            self._talk,
            host,
            port,
            process_request=self._process_request,
            create_connection=self._make_connection,
            compression=self.compression,
            max_size=self.max_size,
            open_timeout=self.open_timeout,
            close_timeout=self.close_timeout,
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
            write_limit=self.write_limit,
            logger=error_logger(self.name, self.keep_error),
            backlog=BACKLOG,
            reuse_address=True,
        )
        return self._websockets.sockets[0].getsockname()[1]

    def _make_connection(self, *args: Any, **options: Any) -> ChatConnection:
        return ChatConnection(
            *args,
            outbox=Outbox(limit=self.outbox_limit, when_full=self.when_full),
            everyone=self._connections,
            patience=self.ping_interval + self.ping_timeout,
            **options,
        )

    async def close(self) -> None:
        """Say goodbye with 1001 to all who listen, and cut those who do not."""
        if self._websockets is None:
            return
        self._websockets.close(code=CloseCode.GOING_AWAY, reason="the server stops")
        for connection in self._connections.copy():
            if connection.lagging or connection.state is State.CONNECTING:
                connection.transport.abort()
        await self._websockets.wait_closed()
        self._websockets = None
        for audience in self._audiences.values():
            await audience.close()
        self._audiences.clear()

    # -- before the WebSocket: pages, and who may connect -----------------------------

    def _process_request(
        self, connection: ChatConnection, request: HTTPRequest
    ) -> Response | None:
        """The answer by plain HTTP, or None to go on with the WebSocket's handshake."""
        path = request.path.partition("?")[0]
        if request.method != "GET":
            response = connection.respond(405, "Here you can GET.\n")
            response.headers["Allow"] = "GET"
            return response
        if path == "/chat":
            return self._check_origin(connection, request.headers)
        if path in self._pages:
            return _page(*self._pages[path])
        return connection.respond(404, f"There is nothing at {path[:100]}.\n")

    def _check_origin(
        self, connection: ChatConnection, headers: Headers
    ) -> Response | None:
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) != 1 or len(origins) > 1:
            return connection.respond(400, "Send one Host, and one Origin at most.\n")
        origin = origins[0] if origins else None
        if is_allowed(origin, hosts[0], self.allowed_origins):
            return None
        refusal = f"A page of {origin[:100]} may not connect to {hosts[0][:100]}.\n"
        return connection.respond(403, refusal)

    # -- the WebSocket ---------------------------------------------------------------

    async def _talk(self, connection: ChatConnection) -> None:
        try:
            async for frame in connection:
                self._requests += 1
                await self._answer(connection, frame)
        except ConnectionClosed:
            pass  # with an error, which its peer knows of
        except Exception as error:
            self.keep_error(error)
            connection.cut_off(CloseCode.INTERNAL_ERROR, "the server failed; not you")
        finally:
            if connection.member.leave():
                # A backplane that took this server for dead has let it go already.
                with contextlib.suppress(ChatError):
                    await self._leave(connection, Request("leave"))

    async def _answer(self, connection: ChatConnection, frame: str | bytes) -> None:
        """Do what it asks for, or tell why not; and then read what it asks next."""
        try:
            request = connection.member.receive(frame)
            await self._handlers[request.type](self, connection, request)
        except ChatError as error:
            await connection.send_or_keep(error.to_json())

    async def _join(self, connection: ChatConnection, request: Request) -> None:
        audience = self._find_audience(request.room)
        connection.audience = audience
        try:
            await connection.space()
            await audience.admit(connection)
            snapshot = await self._shared.join(self._event("joined", connection))
        except BaseException:
            connection.member.refuse()
            await self._dismiss(connection)
            raise
        audience.welcome(connection, snapshot)

    async def _message(self, connection: ChatConnection, request: Request) -> None:
        event = self._event("message", connection, text=request.text)
        await connection.audience.publish(event)

    async def _private(self, connection: ChatConnection, request: Request) -> None:
        event = self._event("private", connection, text=request.text, to=request.to)
        await connection.audience.publish(event)
        sent = {"type": "sent", "to": request.to, "text": request.text}
        await connection.send_or_keep(to_json(sent))

    async def _history(self, connection: ChatConnection, _: Request) -> None:
        snapshot = await self._shared.snapshot(connection.member.room)
        await connection.send_or_keep(snapshot.to_json("history"))

    async def _leave(self, connection: ChatConnection, _: Request) -> None:
        try:
            await connection.audience.publish(self._event("left", connection))
        finally:
            connection.member.left()
            await self._dismiss(connection)

    _handlers: Mapping[str, Callable[..., Awaitable[None]]] = {
        "join": _join,
        "message": _message,
        "private": _private,
        "history": _history,
        "leave": _leave,
    }

    def _event(self, type: str, connection: ChatConnection, **more: str) -> Event:
        member = connection.member
        return Event(
            type,
            room=member.room,
            name=member.name,
            at=round(time.time(), 3),
            id=next(self._event_ids),
            **more,
        )

    # -- rooms -------------------------------------------------------------------------

    def _find_audience(self, room: str) -> Audience:
        audience = self._audiences.get(room)
        if audience is None or audience.lost:
            audience = Audience(room, self._shared, self.keep_error)
            self._audiences[room] = audience
        return audience

    async def _dismiss(self, connection: ChatConnection) -> None:
        audience = connection.audience
        audience.dismiss(connection)
        if audience.empty:
            if self._audiences.get(audience.room) is audience:
                del self._audiences[audience.room]
            await audience.close()


def _read_pages() -> dict[str, tuple[bytes, str]]:
    folder = importlib.resources.files("helpers.servers") / "pages"
    return {
        path: (folder.joinpath(name).read_bytes(), content_type)
        for path, (name, content_type) in PAGES.items()
    }


def _page(body: bytes, content_type: str) -> Response:
    headers = Headers(PAGE_HEADERS)
    headers["Content-Type"] = content_type
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Response(200, "OK", headers, body)
