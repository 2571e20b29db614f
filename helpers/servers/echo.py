"""WebSocket echo servers of two libraries, as one writes them: to stand beside lean.py.

All is left as the library has it, but for what is being compared: compression, which
keeps a window of what was said before for each direction of each connection (RFC 7692).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import websockets.asyncio.server as library
from aiohttp import WSMsgType, web
from websockets.exceptions import ConnectionClosed

from helpers.server import BACKLOG, HTTPServer, Server

__all__ = ["AiohttpSockets", "WebsocketsServer"]

# Both libraries' defaults take megabytes; what is said here is short.
MAX_MESSAGE = 4096


class WebsocketsServer(Server):
    """Echoes by the websockets library; ``compressed`` is its default."""

    _server: library.Server | None = None

    def __init__(self, *, compressed: bool = True, **server: Any) -> None:
        super().__init__(**server)
        self.compressed = compressed

    async def open(self, host: str, port: int) -> int:
        self._server = await library.serve(
            self._echo,
            host,
            port,
            compression="deflate" if self.compressed else None,
            max_size=MAX_MESSAGE,
            backlog=BACKLOG,
            reuse_address=True,
            logger=_silent(),
        )
        return self._server.sockets[0].getsockname()[1]

    async def _echo(self, connection: library.ServerConnection) -> None:
        self._requests += 1
        try:
            async for message in connection:
                await connection.send(message)
        except ConnectionClosed:
            pass

    async def close(self) -> None:
        if self._server is not None:
            for connection in self._server.connections:
                connection.transport.abort()
            self._server.close()
            await self._server.wait_closed()


class AiohttpSockets(HTTPServer):
    """Echoes by aiohttp, as it comes: it compresses for who asks for it."""

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [web.get("/", self._echo)]

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(max_msg_size=MAX_MESSAGE)
        await response.prepare(request)
        async for message in response:
            if message.type is WSMsgType.TEXT:
                await response.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await response.send_bytes(message.data)
        return response


def _silent() -> logging.Logger:
    """A client that is cut off is no error here."""
    logger = logging.Logger("echo")
    logger.addHandler(logging.NullHandler())
    return logger
