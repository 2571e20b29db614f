"""The caching forwarder, in front of our resolver and of upstreams that misbehave."""

import asyncio
import itertools
import socket
import threading

import dns.asyncquery
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from helpers.servers.caching_resolver import CachingResolver
from helpers.servers.resolver import Resolver

HOST = "127.0.0.1"
PATIENCE = 20  # seconds, for a machine that is busy; nothing waits for it to pass


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Upstream:
    """A UDP server that answers each query with what ``script(query, n)`` returns.

    That is a list of datagrams; ``n`` counts the queries from 0.
    """

    def __init__(self, script):
        self._script = script
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._thread = threading.Thread(target=self._serve)
        self.address = self._socket.getsockname()
        self.queries = []

    def _serve(self):
        while True:
            wire, client = self._socket.recvfrom(65535)
            if not wire:  # the end, see __exit__
                return
            query = dns.message.from_wire(wire)
            self.queries.append((query, client))
            for datagram in self._script(query, len(self.queries) - 1):
                self._socket.sendto(datagram, client)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()


def answer_with(query, address):
    response = dns.message.make_response(query)
    name = query.question[0].name
    response.answer = [dns.rrset.from_text(name, 60, "IN", "A", address)]
    return response


def ask(resolver, name="www.example.test", rdtype="A", *, flags=dns.flags.RD):
    query = dns.message.make_query(name, rdtype, flags=flags)
    response, _ = dns.query.udp_with_fallback(
        query, HOST, port=resolver.port, timeout=PATIENCE
    )
    return response


def values(response):
    return [rdata.to_text() for rrset in response.answer for rdata in rrset]


def test_asks_once_and_remembers():
    """The second client is answered from memory, with the TTL that is left."""
    clock = Clock()
    with Resolver() as server, CachingResolver(server, clock=clock) as resolver:
        first = ask(resolver)
        clock.now = 10
        second = ask(resolver, "WWW.example.TEST")
        assert values(first) == values(second) == ["192.0.2.1"]
        assert (first.answer[0].ttl, second.answer[0].ttl) == (60, 50)
        assert second.question[0].name.to_text() == "WWW.example.TEST."
        assert (resolver.cache.hits, resolver.cache.misses) == (1, 1)
        assert resolver.upstream_queries == server.requests == 1
        assert not resolver.errors


def test_says_that_it_asked_others():
    """RA is set and AA is not: it is no authority, and recursion is its work."""
    with Resolver() as server, CachingResolver(server) as resolver:
        for _ in range(2):
            response = ask(resolver)
            assert response.flags & dns.flags.RA
            assert not response.flags & dns.flags.AA


def test_change_is_seen_when_the_ttl_has_passed():
    """Until then everybody hears the old address: what a long TTL costs."""
    clock = Clock()
    with Resolver() as server, CachingResolver(server, clock=clock) as resolver:
        ask(resolver)
        server.set("www.example.test", "A", "192.0.2.7")
        clock.now = 59
        assert values(ask(resolver)) == ["192.0.2.1"]
        clock.now = 60
        assert values(ask(resolver)) == ["192.0.2.7"]


@pytest.mark.parametrize(
    ("name", "rcode"),
    [
        ("new.example.test", dns.rcode.NXDOMAIN),
        ("pages.example.test", dns.rcode.NOERROR),  # NODATA
    ],
)
def test_negative_answers_are_remembered(name, rcode):
    """A "no" holds for the SOA's 30 seconds, also when a record comes meanwhile."""
    clock = Clock()
    with Resolver() as server, CachingResolver(server, clock=clock) as resolver:
        assert ask(resolver, name).rcode() == rcode
        server.set(name, "A", "192.0.2.7")
        clock.now = 29
        again = ask(resolver, name)
        assert again.rcode() == rcode and not again.answer
        assert again.authority[0].ttl == 1
        clock.now = 30
        assert values(ask(resolver, name)) == ["192.0.2.7"]


def test_big_answers_come_by_tcp():
    """A truncated answer is fetched by TCP, remembered whole, and told by TCP."""
    with Resolver() as server, CachingResolver(server) as resolver:
        for _ in range(2):
            assert len(values(ask(resolver, "cdn.example.test"))) == 100
        assert resolver.upstream_queries == 1


def test_refusal_is_passed_on_and_not_kept():
    """What upstream refuses is refused, each time anew."""
    with Resolver() as server, CachingResolver(server) as resolver:
        for _ in range(2):
            response = ask(resolver, "www.elsewhere.test")
            assert response.rcode() == dns.rcode.REFUSED
        assert resolver.upstream_queries == 2


def test_without_recursion_only_memory_is_asked():
    """A query without RD gets what is known, and otherwise REFUSED."""
    with Resolver() as server, CachingResolver(server) as resolver:
        assert ask(resolver, flags=0).rcode() == dns.rcode.REFUSED
        ask(resolver)
        assert values(ask(resolver, flags=0)) == ["192.0.2.1"]
        assert resolver.upstream_queries == 1


def test_lost_queries_are_sent_again():
    """Two datagrams lost, the third answered: each with a new id."""

    def script(query, n):
        return [answer_with(query, "192.0.2.9").to_wire()] if n == 2 else []

    with Upstream(script) as upstream:
        # The answer to the third must have time, also on a slow machine.
        with CachingResolver(upstream.address, timeout=0.5, tries=20) as resolver:
            assert values(ask(resolver)) == ["192.0.2.9"]
        ids = {query.id for query, _ in upstream.queries}
        assert len(upstream.queries) >= 3 and len(ids) > 1


def test_silence_is_servfail():
    """When no try is answered the client hears so, and nothing is remembered."""
    with Upstream(lambda query, n: []) as upstream:
        with CachingResolver(upstream.address, timeout=0.05, tries=2) as resolver:
            assert ask(resolver).rcode() == dns.rcode.SERVFAIL
            assert resolver.upstream_queries == 2
            assert len(resolver.cache) == 0
            assert not resolver.errors


def test_upstream_that_stopped_and_came_back():
    """SERVFAIL while it is away, and the answer after its restart."""
    with Resolver() as server:
        with CachingResolver(server, timeout=2.0, tries=1) as resolver:
            server.stop()
            assert ask(resolver).rcode() == dns.rcode.SERVFAIL
            server.start()
            assert values(ask(resolver)) == ["192.0.2.1"]
            assert not resolver.errors


def forged_id(query):
    forged = answer_with(query, "198.51.100.66")
    forged.id ^= 1
    return forged.to_wire()


def forged_question(query):
    other = dns.message.make_query("www.elsewhere.test", "A", id=query.id)
    return answer_with(other, "198.51.100.66").to_wire()


def no_response(query):
    return query.to_wire()


def garbage(query):
    return b"\x00" * 40


@pytest.mark.parametrize("forge", [forged_id, forged_question, no_response, garbage])
def test_forged_answers_are_ignored(forge):
    """A wrong id, a wrong question, a query, noise: none gets in (RFC 5452)."""

    def script(query, n):
        return [forge(query), answer_with(query, "192.0.2.9").to_wire()]

    with Upstream(script) as upstream:
        with CachingResolver(upstream.address, timeout=2.0) as resolver:
            assert values(ask(resolver)) == ["192.0.2.9"]
            assert values(ask(resolver)) == ["192.0.2.9"]
            assert not resolver.errors


def test_answer_from_another_port_is_ignored():
    """A right answer counts only when it comes from where the query went."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((HOST, 0))

        def script(query, n):
            _, client = upstream.queries[-1]
            stranger.sendto(answer_with(query, "198.51.100.66").to_wire(), client)
            return [answer_with(query, "192.0.2.9").to_wire()]

        with Upstream(script) as upstream:
            with CachingResolver(upstream.address, timeout=2.0) as resolver:
                assert values(ask(resolver)) == ["192.0.2.9"]


def test_ids_and_ports_can_not_be_foreseen():
    """Each query goes out with an id and a port of its own."""
    with Upstream(lambda query, n: [answer_with(query, "192.0.2.9").to_wire()]) as up:
        with CachingResolver(up.address, timeout=PATIENCE) as resolver:
            for i in range(20):
                ask(resolver, f"n{i}.example.test")
        ids = [query.id for query, _ in up.queries]
        ports = [client[1] for _, client in up.queries]
    assert len(set(ids)) > 15 and len(set(ports)) > 15
    steps = {b - a for a, b in itertools.pairwise(ids)}
    assert len(steps) > 15  # not a counter


def test_same_question_at_the_same_time_is_asked_once():
    """Clients that come while it asks wait for that answer, all of them."""
    everybody_asked = threading.Event()

    def script(query, n):
        everybody_asked.wait(PATIENCE)
        return [answer_with(query, "192.0.2.9").to_wire()]

    async def ask_at_once(resolver):
        query = dns.message.make_query("www.example.test", "A")
        answers = asyncio.gather(
            *[
                dns.asyncquery.udp(query, HOST, port=resolver.port, timeout=PATIENCE)
                for _ in range(20)
            ]
        )
        while resolver.requests < 20:  # noqa: ASYNC110, it lives on another loop
            await asyncio.sleep(0.001)
        everybody_asked.set()
        return await answers

    with Upstream(script) as upstream:
        with CachingResolver(upstream.address, timeout=PATIENCE) as resolver:
            answers = asyncio.run(ask_at_once(resolver))
            assert all(values(answer) == ["192.0.2.9"] for answer in answers)
            assert resolver.upstream_queries == 1


def test_stop_while_it_asks():
    """Stop does not wait for an upstream that is silent, nor leaves an error."""
    with Upstream(lambda query, n: []) as upstream:
        resolver = CachingResolver(upstream.address, timeout=600).start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            query = dns.message.make_query("www.example.test", "A")
            client.sendto(query.to_wire(), (HOST, resolver.port))
            while not upstream.queries:
                pass
            resolver.stop(patience=PATIENCE)
        assert not resolver.errors


def test_memory_is_bounded():
    """More names than the cache has room for leave it full, and no fuller."""
    with Resolver() as server, CachingResolver(server, max_entries=10) as resolver:
        for i in range(30):
            ask(resolver, f"n{i}.pages.example.test")
        assert len(resolver.cache) == 10


def test_card_shows_the_cache():
    """In a notebook it shows its hits and misses."""
    with Resolver() as server, CachingResolver(server) as resolver:
        ask(resolver)
        assert "1 answers, 0 hits, 1 misses" in resolver._repr_html_()
