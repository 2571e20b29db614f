"""RoundRobin: a proxy that hands each new connection to the next server.

    with ChatServer() as a, ChatServer() as b, RoundRobin([a, b]) as proxy:
        httpx.get(proxy.url)        # from a
        httpx.get(proxy.url)        # from b

It passes bytes on and looks at none of them (a proxy of layer 4), so it serves for HTTP
and for WebSocket. What a client does over one connection reaches one server, and its
next connection may reach another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from helpers.network.endpoint import Target, address_of
from helpers.server import BACKLOG, Server, Startable

__all__ = ["RoundRobin"]

CHUNK = 64 * 1024  # bytes read at once; StreamReader holds twice as many, each way

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class RoundRobin(Server):
    """A proxy in front of ``servers``: ours, ``http://host:port``, or (host, port).

    A server that does not take a connection within ``connect_timeout`` seconds is
    passed over. When none takes it, or ``max_connections`` are open already, the
    client's connection is closed.

    ``taken`` counts the connections that each server took, in the order of ``servers``.

    Raises ValueError when there is no server, or one that is none of these.
    """

    def __init__(
        self,
        servers: Sequence[Target],
        *,
        max_connections: int = 10_000,
        connect_timeout: float = 1.0,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        if not servers:
            raise ValueError("a proxy needs a server at least")
        for target in servers:
            if not isinstance(target, Startable):
                address_of(target)  # raises for what it does not know
        self.servers = tuple(servers)
        self.max_connections = max_connections
        self.connect_timeout = connect_timeout
        self.taken = [0] * len(self.servers)
        self._turn = 0
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task] = set()

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    async def open(self, host: str, port: int) -> int:
        self._listener = await asyncio.start_server(
            self._serve, host, port, backlog=BACKLOG, reuse_address=True
        )
        return self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._listener is None:
            return
        self._listener.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        self._listener = None

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection, from its beginning to its end."""
        task = asyncio.current_task()
        self._connections.add(task)
        self._requests += 1
        try:
            if len(self._connections) <= self.max_connections:
                server = await self._connect()
                if server is not None:
                    await _join((reader, writer), server)
        except asyncio.CancelledError:
            pass  # close() wants it to end; asyncio would call that an error
        finally:
            writer.transport.abort()  # no more is to be sent, or it can not be
            self._connections.discard(task)

    async def _connect(self) -> Stream | None:
        """A connection to the next server that takes one; None when none does."""
        for _ in self.servers:
            turn = self._turn
            self._turn = (turn + 1) % len(self.servers)
            try:
                host, port = address_of(self.servers[turn])
                async with asyncio.timeout(self.connect_timeout):
                    server = await asyncio.open_connection(host, port)
            except (OSError, TimeoutError):
                continue
            self.taken[turn] += 1
            return server
        return None


async def _join(client: Stream, server: Stream) -> None:
    """Pass on what either of them sends, until both have ended or one breaks off."""
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_pass_on(client[0], server[1]))
            directions.create_task(_pass_on(server[0], client[1]))
    except* OSError:
        pass  # one broke off, and so the other one is cut
    finally:
        server[1].transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # It reads on when all of it is away, so a slow reader slows down the sender.
    writer.transport.set_write_buffer_limits(high=0)
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()  # there may be more to come the other way
