"""DNSServer: queries come in by UDP and by TCP, on one port; answers go back.

UDP: one datagram, one message. What does not fit is cut, and the TC bit says so;
the client then asks again by TCP. TCP is a stream of bytes without borders, so each
message has its length in two bytes before it (RFC 1035 section 4.2, RFC 7766).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from abc import abstractmethod
from collections.abc import Coroutine

import dns.rcode
from dns.message import Message

from helpers.server import BACKLOG, Server
from helpers.servers.dns_query import (
    QueryError,
    header_only,
    is_query,
    parse_query,
    refusal,
    response_to,
    udp_limit,
)

__all__ = ["DNSServer"]

MAX_MESSAGE = 65_535  # what two bytes of length can say
MAX_UNSENT = 1024 * 1024  # bytes of datagrams that wait for the system's buffer
PORT_ATTEMPTS = 20


class DNSServer(Server):
    """The sockets, the framing and the limits. Subclasses write :meth:`resolve`.

    ``idle``             seconds a TCP client has for one whole message, and for
                         taking in one answer (RFC 7766 section 6.2.3: a few)
    ``max_connections``  TCP connections at a time; one more is closed at once
    ``max_under_way``    datagrams being answered; one more is dropped, as a
                         network may drop any datagram
    """

    idle = 10.0
    max_connections = 100
    max_under_way = 200
    recursion_available = False

    _udp: asyncio.DatagramTransport | None = None
    _tcp: asyncio.Server | None = None

    @abstractmethod
    async def resolve(self, query: Message, response: Message) -> None:
        """Fill in ``response``, which has the question of ``query`` already."""

    @property
    def url(self) -> str:
        """``dns://127.0.0.1:PORT``, as RFC 4501 writes a server's address."""
        return super().url.replace("http://", "dns://")

    async def open(self, host: str, port: int) -> int:
        self._connections: set[asyncio.Task] = set()
        self._under_way: set[asyncio.Task] = set()
        for attempts_left in reversed(range(PORT_ATTEMPTS)):
            try:
                return await self._bind(host, port)
            except OSError as error:
                await self.close()
                # The system chose a port free for TCP, and for UDP it is taken.
                taken = error.errno == errno.EADDRINUSE
                if port != 0 or not taken or not attempts_left:
                    raise
        raise AssertionError("unreachable")

    async def _bind(self, host: str, port: int) -> int:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._tcp = await asyncio.start_server(
            self._accept, host, port, family=family, backlog=BACKLOG
        )
        port = self._tcp.sockets[0].getsockname()[1]
        self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(host, port), family=family
        )
        return port

    async def close(self) -> None:
        for listening in (self._udp, self._tcp):
            if listening is not None:
                listening.close()
        self._udp = self._tcp = None
        tasks = [*self._connections, *self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def reply(self, wire: bytes, *, over_tcp: bool) -> bytes | None:
        """The answer to one message, or None when it deserves none."""
        if not is_query(wire):
            return None
        self._requests += 1
        try:
            query = parse_query(wire)
            response = await self._respond(query)
            limit = MAX_MESSAGE if over_tcp else udp_limit(query)
            # Records in the zone's order: a lesson runs the same each time.
            return response.to_wire(
                max_size=limit, prefer_truncation=True, want_shuffle=False
            )
        except QueryError as error:
            return header_only(wire, error.rcode)
        except Exception as error:  # a bug here, not the client's fault
            self.keep_error(error)
            return header_only(wire, dns.rcode.SERVFAIL)

    async def _respond(self, query: Message) -> Message:
        response = response_to(query, recursion_available=self.recursion_available)
        rcode = refusal(query)
        if rcode is None:
            await self.resolve(query, response)
        else:
            response.set_rcode(rcode)
        return response

    # -- UDP ---------------------------------------------------------------------

    def _receive(self, wire: bytes, client: tuple) -> None:
        if len(self._under_way) < self.max_under_way:
            _start(self._answer_datagram(wire, client), self._under_way)

    async def _answer_datagram(self, wire: bytes, client: tuple) -> None:
        answer = await self.reply(wire, over_tcp=False)
        udp = self._udp
        if answer and udp and udp.get_write_buffer_size() < MAX_UNSENT:
            udp.sendto(answer, client)

    # -- TCP ---------------------------------------------------------------------

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(self._connections) < self.max_connections:
            _start(self._serve_connection(reader, writer), self._connections)
        else:
            writer.transport.abort()

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # So that drain() returns only once the system has taken all we wrote.
        writer.transport.set_write_buffer_limits(0)
        try:
            while await self._serve_message(reader, writer):
                pass
        except (OSError, EOFError):
            pass  # the client left, was cut off, or was too slow (TimeoutError)
        finally:
            writer.transport.abort()

    async def _serve_message(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """False when the message deserves no answer, and so its sender no more."""
        # One deadline for the whole message: a byte now and then does not extend it.
        async with asyncio.timeout(self.idle):
            length = int.from_bytes(await reader.readexactly(2))
            wire = await reader.readexactly(length)
        answer = await self.reply(wire, over_tcp=True)
        if answer is None:
            return False
        writer.write(len(answer).to_bytes(2) + answer)
        async with asyncio.timeout(self.idle):
            await writer.drain()
        return True


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DNSServer) -> None:
        self.datagram_received = server._receive


def _start(work: Coroutine[None, None, None], tasks: set[asyncio.Task]) -> None:
    """Run ``work``, and keep it in ``tasks`` until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
