"""The scores by WebSocket (RFC 6455): the listener, and a subscriber on it.

It listens on a port of its own, on the loop of the server that it belongs to, since
the websockets library and aiohttp each want to be the first to read a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from helpers.server import BACKLOG, Startable, error_logger
from helpers.servers.fan_out import FanOut, Full, Subscriber
from helpers.servers.feed import Event
from helpers.servers.origin import is_allowed
from helpers.servers.since import event_id

__all__ = ["ScoreSockets"]

MAX_MESSAGE = 4096  # bytes; a client of this feed has nothing to say
OPEN_TIMEOUT = 10.0  # seconds for the handshake
STOP_TIMEOUT = 0.5  # seconds for all clients to answer a close frame at stop()
PING_EVERY = 20.0  # seconds, and as many for the pong


class ScoreSockets(Startable):
    """The WebSocket end of a score server: something a ``Link`` can lead to.

    ``ws://127.0.0.1:PORT/`` sends each event from now on, ``/?since=57`` those after
    57 first. It starts and stops with the server it belongs to.
    """

    def __init__(self, owner: Startable, *, port: int = 0) -> None:
        super().__init__(name=f"{owner.name} by WebSocket", host=owner.host, port=port)
        self._owner = owner
        self._requests = 0
        self._fan_out: FanOut | None = None
        self._server: Server | None = None
        self._connections: set[ServerConnection] = set()

    def start(self) -> Self:
        self._owner.start()
        return self

    def stop(self) -> None:
        self._owner.stop()

    @property
    def requests(self) -> int:
        """Handshakes that were accepted since the start."""
        return self._requests

    @property
    def url(self) -> str:
        """``ws://127.0.0.1:PORT``, without a slash at its end."""
        return super().url.replace("http://", "ws://")

    # -- on the server's loop ------------------------------------------------------

    async def open(
        self, fan_out: FanOut, keep_error: Callable[[BaseException], None]
    ) -> None:
        self._requests = 0
        self._fan_out = fan_out
        self._server = await serve(
            self._tell,
            self.host,
            self._wanted_port,
            process_request=self._welcome_or_refuse,
            create_connection=self._connect,
            # Off: it takes 33 KB more a connection, and small messages gain little.
            compression=None,
            max_size=MAX_MESSAGE,
            max_queue=4,  # messages of the client that wait to be thrown away
            write_limit=fan_out.limits.unsent // 2,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=fan_out.limits.patience,
            ping_interval=PING_EVERY,
            ping_timeout=PING_EVERY,
            logger=error_logger(self.name, keep_error),
            backlog=BACKLOG,
            reuse_address=True,
        )
        self._port = self._wanted_port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """1001 (going away) to all, and the end for those who do not answer."""
        server, self._server, self._port = self._server, None, None
        if server is None:
            return
        server.close(code=CloseCode.GOING_AWAY, reason="the server stops")
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await server.wait_closed()
        except TimeoutError:  # a handshake never ended, or a client does not read
            for connection in tuple(self._connections):
                connection.transport.abort()
            await server.wait_closed()

    def _connect(self, *args: object, **kwargs: object) -> ServerConnection:
        connection = _Connection(*args, **kwargs)
        connection.all_open = self._connections
        return connection

    def _welcome_or_refuse(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """The answer to a handshake that is refused; None lets it go on."""
        if not is_welcome(request):
            return connection.respond(
                403, "A page of another origin may not read this. Open the server's.\n"
            )
        if urlsplit(request.path).path != "/":
            return connection.respond(404, "The scores are at /, or at /?since=57.\n")
        try:
            _since(request)
        except ValueError as error:
            return connection.respond(400, f"{error}\n")
        return None

    async def _tell(self, connection: ServerConnection) -> None:
        try:
            with self._fan_out.admit():
                self._requests += 1
                await self._serve(connection)
        except Full:
            await connection.close(CloseCode.TRY_AGAIN_LATER, "no room, come back")

    async def _serve(self, connection: ServerConnection) -> None:
        subscriber = WebSocketStream(connection)
        reading = asyncio.create_task(_read_until_closed(connection, subscriber))
        try:
            await self._fan_out.follow(subscriber, _since(connection.request))
        except ConnectionClosed:  # while it caught up
            pass
        finally:
            await self._close(connection, subscriber)
            await reading

    async def _close(self, connection: ServerConnection, who: Subscriber) -> None:
        """The closing handshake, and an end by force for who takes too long over it.

        The library itself would wait without end for room to write its close frame.
        """
        close = CloseCode.GOING_AWAY, "the server stops"
        if who.dropped is not None:
            close = CloseCode.POLICY_VIOLATION, "too slow"
        try:
            async with asyncio.timeout(self._fan_out.limits.patience):
                await connection.close(*close)
        except TimeoutError:
            connection.transport.abort()


class WebSocketStream(Subscriber):
    """Events as text messages."""

    def __init__(self, connection: ServerConnection) -> None:
        super().__init__("WebSocket", connection.transport)
        self._connection = connection

    def send(self, event: Event) -> None:
        self.send_all([self], event)

    @classmethod
    def send_all(cls, subscribers: list[Self], event: Event) -> None:
        """As the library has it for a crowd; it waits for nobody, and FanOut counts."""
        connections = [subscriber._connection for subscriber in subscribers]
        broadcast(connections, event.json, text=True)

    async def write(self, events: list[Event]) -> None:
        for event in events:
            await self._connection.send(event.json, text=True)


async def _read_until_closed(
    connection: ServerConnection, subscriber: Subscriber
) -> None:
    """Throw away what the client says: only who reads learns of pings and of the end.

    Reading text also checks that it is UTF-8 (RFC 6455, section 8.1).
    """
    try:
        async for _ in connection:
            pass
    except ConnectionClosed:
        pass
    finally:
        subscriber.end()


class _Connection(ServerConnection):
    """A connection that is counted from its first moment, before its handshake."""

    all_open: set[ServerConnection]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.all_open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.all_open.discard(self)


def is_welcome(request: Request) -> bool:
    """Whether a page that this host served asks, or no page at all (see origin.py)."""
    origins = request.headers.get_all("Origin")
    hosts = request.headers.get_all("Host")
    if len(origins) > 1 or len(hosts) != 1:
        return False
    return is_allowed(origins[0] if origins else None, hosts[0])


def _since(request: Request) -> int | None:
    values = parse_qs(urlsplit(request.path).query, keep_blank_values=True).get("since")
    return None if values is None else event_id("since", values[0])
