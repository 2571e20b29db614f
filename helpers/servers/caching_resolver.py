"""CachingResolver: asks another server once, and remembers for as long as it may.

    with Resolver() as server, CachingResolver(server) as resolver:
        query = dns.message.make_query("www.example.test", "A")
        dns.query.udp(query, "127.0.0.1", port=resolver.port)   # a miss
        dns.query.udp(query, "127.0.0.1", port=resolver.port)   # a hit
        resolver.cache

This is what a laptop's operating system, a home router or a provider runs between a
program and the servers that know: a forwarder, in the words of RFC 9499.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
from dns.message import Message
from dns.name import Name
from dns.rdatatype import RdataType

from helpers.server import Startable
from helpers.servers.dns_cache import Answer, Cache, Clock, Key
from helpers.servers.dns_query import PAYLOAD
from helpers.servers.dns_server import DNSServer

__all__ = ["CachingResolver"]

Address = tuple[str, int]
UNREACHED = Answer(dns.rcode.SERVFAIL, [], [])


class CachingResolver(DNSServer):
    """A DNS server that forwards to ``upstream`` what it does not remember.

    ``upstream`` is a server, a link to one, or ``(host, port)``; ``upstream_tcp`` where
    to ask again when an answer came truncated, if that is another address. Each of
    ``tries`` datagrams waits ``timeout`` seconds for its answer; the client gets
    SERVFAIL when none comes. ``max_entries`` bounds the cache, ``clock`` gives it the
    time in seconds.

    ``upstream_queries`` counts the datagrams sent upstream.
    """

    recursion_available = True

    def __init__(
        self,
        upstream: Startable | Address,
        *,
        upstream_tcp: Startable | Address | None = None,
        timeout: float = 1.0,
        tries: int = 3,
        max_entries: int = 1000,
        clock: Clock = time.monotonic,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        self.upstream = upstream
        self.upstream_tcp = upstream_tcp or upstream
        self.timeout = timeout
        self.tries = tries
        self.cache = Cache(max_entries, clock)
        self.upstream_queries = 0
        self._asking: dict[Key, asyncio.Task[Answer]] = {}

    async def resolve(self, query: Message, response: Message) -> None:
        name, rdtype = query.question[0].name, query.question[0].rdtype
        answer = self.cache.get(name, rdtype)
        if answer is None and query.flags & dns.flags.RD:
            answer = await asyncio.shield(self._ask_once(name, rdtype))
        if answer is None:  # it asked for what we know, not to find out
            response.set_rcode(dns.rcode.REFUSED)
        else:
            response.set_rcode(answer.rcode)
            response.answer = answer.answer
            response.authority = answer.authority

    async def close(self) -> None:
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await super().close()

    def _ask_once(self, name: Name, rdtype: RdataType) -> asyncio.Task[Answer]:
        """Clients that ask the same at the same time wait for one query together.

        Besides the work saved, each further query under way would be one more that
        a forged answer could match (RFC 5452 section 5).
        """
        key = (name, rdtype)
        if key not in self._asking:
            task = asyncio.create_task(self._ask(name, rdtype))
            task.add_done_callback(lambda _: self._asking.pop(key))
            self._asking[key] = task
        return self._asking[key]

    async def _ask(self, name: Name, rdtype: RdataType) -> Answer:
        for _ in range(self.tries):
            try:
                response = await self._exchange(name, rdtype)
            except (dns.exception.DNSException, OSError, EOFError):
                continue  # lost, late, refused or cut: ask again
            answer = Answer.from_response(response)
            self.cache.put(name, rdtype, answer)
            return answer
        return UNREACHED

    async def _exchange(self, name: Name, rdtype: RdataType) -> Message:
        """One query, from a new port and with a new id, and its answer.

        A datagram from elsewhere, with another id or another question, is ignored:
        it may be forged (RFC 5452 section 9.1).
        """
        query = dns.message.make_query(name, rdtype, use_edns=0, payload=PAYLOAD)
        self.upstream_queries += 1
        host, port = _address_of(self.upstream)
        try:
            return await dns.asyncquery.udp(
                query,
                host,
                port=port,
                timeout=self.timeout,
                ignore_unexpected=True,
                ignore_errors=True,
                raise_on_truncation=True,
            )
        except dns.message.Truncated:
            host, port = _address_of(self.upstream_tcp)
            return await dns.asyncquery.tcp(
                query, host, port=port, timeout=self.timeout
            )

    def _card(self) -> dict[str, str]:
        return super()._card() | {"cache": repr(self.cache)}


def _address_of(upstream: Startable | Address) -> Address:
    """Asked for at each query, since a server may restart at another port."""
    if not isinstance(upstream, Startable):
        return upstream
    if not upstream.running:
        raise ConnectionRefusedError(f"{upstream.name} does not run")
    return upstream.host, upstream.port
