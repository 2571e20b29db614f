"""The sockets under a DNS server: hostile datagrams, slow and greedy connections."""

import asyncio
import errno
import random
import socket
import struct
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import psutil
import pytest

from helpers.servers.dns_server import DNSServer
from helpers.servers.resolver import Resolver

HOST = "127.0.0.1"
PATIENCE = 20  # seconds, for a machine that is busy; nothing waits for it to pass
SEED = 53


class Echo(DNSServer):
    """Answers every question with nothing."""

    async def resolve(self, query, response):
        pass


class Broken(DNSServer):
    async def resolve(self, query, response):
        raise ZeroDivisionError("a bug in resolve()")


class Impatient(Resolver):
    idle = 0.2


@pytest.fixture
def resolver():
    with Resolver() as resolver:
        yield resolver
        assert not resolver.errors


def make_query(name="www.example.test", rdtype="A"):
    return dns.message.make_query(name, rdtype)


def still_answers(resolver):
    """By UDP and by TCP. Other datagrams may still wait before ours."""
    query = make_query()
    by_udp = dns.query.udp(query, HOST, port=resolver.port, timeout=PATIENCE)
    by_tcp = dns.query.tcp(query, HOST, port=resolver.port, timeout=PATIENCE)
    return by_udp.answer == by_tcp.answer != []


def connect(resolver):
    return socket.create_connection((HOST, resolver.port), timeout=PATIENCE)


def connect_small(resolver):
    """A client that takes in little at a time: the rest waits at the server."""
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.connect((HOST, resolver.port))
    return connection


def framed(wire):
    return len(wire).to_bytes(2, "big") + wire


def set_huge_record(resolver):
    """Make a record of 51 kB; returns the query for it."""
    text = " ".join(["x" * 255] * 200)
    resolver.set("huge.example.test", "TXT", text)
    return make_query("huge.example.test", "TXT")


def read_messages(connection, count):
    stream = connection.makefile("rb")
    return [
        dns.message.from_wire(stream.read(int.from_bytes(stream.read(2), "big")))
        for _ in range(count)
    ]


def ended(connection):
    """Whether the server closed the connection; waits for it."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


# -- UDP -----------------------------------------------------------------------------


def hostile_datagrams(count):
    """Half noise, half valid queries with some bytes changed, cut or repeated."""
    chance = random.Random(SEED)
    valid = [
        make_query("www.example.test").to_wire(),
        make_query("cdn.example.test", "ANY").to_wire(),
        dns.message.make_query("lost.example.test", "A", payload=4096).to_wire(),
    ]
    for i in range(count):
        if i % 2:
            yield chance.randbytes(chance.choice([0, 1, 11, 12, 13, 40, 512, 1400]))
        else:
            wire = bytearray(chance.choice(valid))
            for _ in range(chance.randint(1, 4)):
                wire[chance.randrange(len(wire))] = chance.randrange(256)
            yield bytes(wire[: chance.choice([len(wire), chance.randrange(60)])])


def test_ten_thousand_hostile_datagrams(resolver):
    """Each is answered or ignored; none is an error of ours, none stays in memory."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((HOST, resolver.port))
    client.setblocking(False)
    before = psutil.Process().memory_info().rss
    answers = 0
    with client:
        for i, wire in enumerate(hostile_datagrams(10_000)):
            client.send(wire)
            if i % 50 == 0:  # let it catch up, so that it sees them all
                assert still_answers(resolver)
            answers += drain(client)
    assert still_answers(resolver)
    assert answers > 1000
    grown = psutil.Process().memory_info().rss - before
    assert grown < 50_000_000  # bytes; a tenth of that is usual


def drain(client):
    """Read what has come back; every datagram of it must be a response."""
    count = 0
    while True:
        try:
            wire = client.recv(65535)
        except BlockingIOError:
            return count
        assert dns.message.from_wire(wire).flags & dns.flags.QR
        count += 1


def test_answers_are_never_answered(resolver):
    """A response gets silence, or two servers could be set to talk for ever."""
    response = dns.message.make_response(make_query()).to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect((HOST, resolver.port))
        client.send(response)
        query = make_query()
        client.send(query.to_wire())
        assert query.is_response(dns.message.from_wire(client.recv(65535)))
    assert resolver.requests == 1


def test_compression_loop(resolver):
    """A name that points to itself is FORMERR."""
    wire = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\xc0\x0c\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect((HOST, resolver.port))
        client.send(wire)
        answer = dns.message.from_wire(client.recv(65535))
    assert (answer.id, answer.rcode()) == (7, dns.rcode.FORMERR)
    assert still_answers(resolver)


class Crowded(DNSServer):
    """Answers nothing until it is let go; counts the datagrams that came in."""

    max_under_way = 2
    received = 0

    def _receive(self, wire, client):
        super()._receive(wire, client)
        self.received += 1

    async def resolve(self, query, response):
        if self.received < 3:
            await self.released.wait()

    def let_go(self):
        self.call_soon(self.released.set)

    async def open(self, host, port):
        self.released = asyncio.Event()
        return await super().open(host, port)


def test_datagrams_under_way_are_bounded():
    """One datagram more than it may work on at a time is dropped, and no other."""
    queries = [make_query() for _ in range(4)]
    with Crowded() as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect((HOST, server.port))
        for query in queries[:3]:
            client.send(query.to_wire())
        assert eventually(lambda: server.received == 3)
        server.let_go()
        answered = {dns.message.from_wire(client.recv(512)).id for _ in range(2)}
        client.send(queries[3].to_wire())
        last = dns.message.from_wire(client.recv(512))
    assert answered == {queries[0].id, queries[1].id}
    assert queries[3].is_response(last)
    assert server.requests == 3


def test_a_bug_is_servfail_and_kept(capsys):
    """An exception in resolve() is SERVFAIL for the client, and shown to the author."""
    with Broken() as server:
        for ask in (dns.query.udp, dns.query.tcp):
            response = ask(make_query(), HOST, port=server.port, timeout=PATIENCE)
            assert response.rcode() == dns.rcode.SERVFAIL
        assert isinstance(server.errors[-1], ZeroDivisionError)
    assert "a bug in resolve()" in capsys.readouterr().err


# -- TCP -----------------------------------------------------------------------------


def test_pipelined_queries(resolver):
    """Queries sent in one go on one connection are all answered."""
    queries = [make_query(f"n{i}.pages.example.test") for i in range(50)]
    with connect(resolver) as connection:
        connection.sendall(b"".join(framed(query.to_wire()) for query in queries))
        responses = read_messages(connection, len(queries))
    for query, response in zip(queries, responses, strict=True):
        assert query.is_response(response)
        assert response.answer


def test_slow_reader_gets_everything(resolver):
    """Megabytes of answers wait for a client that reads later, up to the last byte."""
    query = set_huge_record(resolver)
    with connect_small(resolver) as connection:
        connection.sendall(framed(query.to_wire()) * 200)
        connection.shutdown(socket.SHUT_WR)
        responses = read_messages(connection, 200)
    assert all(query.is_response(response) for response in responses)
    assert all(len(response.wire) > 50_000 for response in responses)


def test_query_before_a_half_close(resolver):
    """A client that has said all it has to say still gets its answer."""
    with connect(resolver) as connection:
        connection.sendall(framed(make_query().to_wire()))
        connection.shutdown(socket.SHUT_WR)
        [response] = read_messages(connection, 1)
        assert response.answer
        assert ended(connection)


def test_broken_message_keeps_the_connection(resolver):
    """FORMERR for one message, and the answer for the next."""
    broken = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\xc0\x0c\x00\x01\x00\x01"
    with connect(resolver) as connection:
        connection.sendall(framed(broken) + framed(make_query().to_wire()))
        first, second = read_messages(connection, 2)
    assert first.rcode() == dns.rcode.FORMERR
    assert second.answer


def test_longest_message_is_refused(resolver):
    """65,535 bytes that begin as a query are FORMERR, and the connection goes on."""
    huge = make_query().to_wire().ljust(65535, b"\x00")
    with connect(resolver) as connection:
        connection.sendall(framed(huge) + framed(make_query().to_wire()))
        first, second = read_messages(connection, 2)
    assert first.rcode() == dns.rcode.FORMERR
    assert second.answer


@pytest.mark.parametrize("wire", [b"", b"\x00" * 11, b"\x00\x00\x80" + b"\x00" * 20])
def test_no_query_ends_the_connection(resolver, wire):
    """Who sends what is no query has nothing more to say."""
    with connect(resolver) as connection:
        connection.sendall(framed(wire))
        assert ended(connection)
    assert still_answers(resolver)


def test_message_shorter_than_announced(resolver):
    """A client that leaves in the middle of a message is forgotten."""
    with connect(resolver) as connection:
        connection.sendall(b"\xff\xff" + make_query().to_wire())
        connection.shutdown(socket.SHUT_WR)
        assert ended(connection)
    assert still_answers(resolver)


@pytest.mark.parametrize("sent", [b"", b"\x00", b"\x00\x40", b"\x00\x40abc"])
def test_idle_connection_is_closed(sent):
    """A client that stops at any point is dropped after ``idle`` seconds."""
    with Impatient() as resolver, connect(resolver) as connection:
        connection.sendall(sent)
        assert ended(connection)
        assert not resolver.errors


def test_a_byte_now_and_then_does_not_help():
    """The deadline is for the whole message: each byte on time is still too slow."""
    with Impatient() as resolver, connect(resolver) as connection:
        message = framed(make_query().to_wire())
        started = time.monotonic()
        # At this pace each byte comes within ``idle``, and the whole far beyond it.
        pause = Impatient.idle / 4
        with pytest.raises(ConnectionError):
            for byte in message * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(pause)
                assert time.monotonic() - started < PATIENCE
        assert not resolver.errors


def test_client_that_never_reads_is_dropped():
    """Answers that nobody takes in pile up to a bound, and then the client goes."""
    with Impatient() as resolver, connect_small(resolver) as connection:
        message = framed(set_huge_record(resolver).to_wire())
        with pytest.raises(ConnectionError):
            for _ in range(1_000_000):
                connection.sendall(message)
        query = make_query()
        assert dns.query.udp(query, HOST, port=resolver.port, timeout=PATIENCE).answer
        assert not resolver.errors


def test_connections_are_bounded():
    """One connection more than the limit is closed; a free place is taken again."""

    class Small(Resolver):
        idle = 600
        max_connections = 2

    with Small() as resolver:
        first, second = connect(resolver), connect(resolver)
        for connection in (first, second):  # accepted, not only in the backlog
            connection.sendall(framed(make_query().to_wire()))
            read_messages(connection, 1)
        with connect(resolver) as third:
            assert ended(third)
        first.close()
        assert eventually(lambda: answers_by_tcp(resolver))
        second.close()


def answers_by_tcp(resolver):
    try:
        dns.query.tcp(make_query(), HOST, port=resolver.port, timeout=PATIENCE)
    except (OSError, EOFError):
        return False
    return True


def eventually(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# -- ports ---------------------------------------------------------------------------


def test_both_transports_share_a_port_and_give_it_back():
    """UDP and TCP listen on the one port, and nothing does after stop."""
    server = Echo()
    with server:
        port = server.port
        assert dns.query.udp(make_query(), HOST, port=port, timeout=PATIENCE)
        assert dns.query.tcp(make_query(), HOST, port=port, timeout=PATIENCE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((HOST, port))
    with socket.socket() as tcp:
        assert tcp.connect_ex((HOST, port)) == errno.ECONNREFUSED


def test_stop_with_open_connections():
    """Stop ends connections that wait, and no error is left behind."""
    server = Resolver().start()
    with connect(server) as connection:
        connection.sendall(framed(make_query().to_wire()))
        read_messages(connection, 1)
        server.stop()
        assert ended(connection)
    assert not server.errors


def test_port_taken_for_udp_is_tried_again(monkeypatch):
    """A port that is free for TCP and taken for UDP is given up for another."""
    taken = []
    bind = DNSServer._bind

    async def bind_with_bad_luck(self, host, port):
        if len(taken) < 3:
            holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            holder.bind((HOST, 0))
            taken.append(holder)
            await bind(self, host, holder.getsockname()[1])
        return await bind(self, host, port)

    monkeypatch.setattr(DNSServer, "_bind", bind_with_bad_luck)
    try:
        with Resolver() as resolver:
            assert len(taken) == 3
            assert still_answers(resolver)
            for holder in taken:  # its TCP half was given back
                with socket.socket() as tcp:
                    address = holder.getsockname()
                    assert tcp.connect_ex(address) == errno.ECONNREFUSED
    finally:
        for holder in taken:
            holder.close()


def test_wanted_port_that_is_taken_is_an_error():
    """A port asked for by number is not replaced by another."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((HOST, 0))
        with pytest.raises(OSError) as caught:
            Resolver(port=holder.getsockname()[1]).start()
        assert caught.value.errno == errno.EADDRINUSE


def test_ipv6_loopback():
    """It serves ::1 as well, where the machine has it."""
    try:
        resolver = Resolver(host="::1").start()
    except OSError:
        pytest.skip("no IPv6 here")
    with resolver:
        query = make_query()
        assert dns.query.udp(query, "::1", port=resolver.port, timeout=PATIENCE).answer
        assert resolver.url == f"dns://[::1]:{resolver.port}"
