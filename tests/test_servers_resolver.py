"""The authoritative server: what it answers, to dnspython, to asyncio and to dig."""

import asyncio
import shutil
import subprocess
import threading

import dns.asyncquery
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from helpers.servers.resolver import Resolver

HOST = "127.0.0.1"
PATIENCE = 20  # seconds, for a machine that is busy; nothing waits for it to pass


@pytest.fixture(scope="module")
def resolver():
    with Resolver() as resolver:
        yield resolver
        assert not resolver.errors


def ask(resolver, name, rdtype="A", **options):
    query = dns.message.make_query(name, rdtype, **options)
    return dns.query.udp(query, HOST, port=resolver.port, timeout=PATIENCE)


def values(response):
    return [rdata.to_text() for rrset in response.answer for rdata in rrset]


@pytest.mark.parametrize(
    ("name", "rdtype", "expected"),
    [
        ("www.example.test", "A", ["192.0.2.1"]),
        ("WWW.Example.TEST", "A", ["192.0.2.1"]),
        ("www.example.test", "AAAA", ["2001:db8::1"]),
        ("example.test", "MX", ["10 mail.example.test."]),
        ("example.test", "TXT", ['"v=spf1 mx -all"']),
        ("example.test", "NS", ["ns.example.test."]),
        ("any.thing.pages.example.test", "A", ["192.0.2.80"]),
    ],
)
def test_records(resolver, name, rdtype, expected):
    """Each type is found, whatever the case, and the answer is authoritative."""
    response = ask(resolver, name, rdtype)
    assert values(response) == expected
    assert response.rcode() == dns.rcode.NOERROR
    assert response.flags & dns.flags.AA
    assert not response.flags & dns.flags.RA


def test_ttl_is_the_one_of_the_zone(resolver):
    """A record's own TTL counts, and $TTL for those without."""
    assert ask(resolver, "www.example.test").answer[0].ttl == 60
    assert ask(resolver, "ns.example.test").answer[0].ttl == 300


def test_cname_is_chased(resolver):
    """The answer brings each alias on the way and then the address."""
    response = ask(resolver, "watch.example.test")
    assert values(response) == ["video.example.test.", "www.example.test.", "192.0.2.1"]
    assert response.resolve_chaining().canonical_name.to_text() == "www.example.test."


def test_cname_asked_for_is_not_chased(resolver):
    """A question for the CNAME itself gets that one record."""
    assert values(ask(resolver, "watch.example.test", "CNAME")) == [
        "video.example.test."
    ]


def test_any_brings_every_type(resolver):
    """ANY asks for each record that the name has."""
    types = {rrset.rdtype.name for rrset in ask(resolver, "example.test", "ANY").answer}
    assert types == {"SOA", "NS", "MX", "TXT"}


@pytest.mark.parametrize(
    ("name", "rdtype", "rcode"),
    [
        ("absent.example.test", "A", dns.rcode.NXDOMAIN),
        ("below.www.example.test", "A", dns.rcode.NXDOMAIN),
        ("lost.example.test", "A", dns.rcode.NXDOMAIN),  # an alias to nothing
        ("www.example.test", "MX", dns.rcode.NOERROR),
        ("video.example.test", "MX", dns.rcode.NOERROR),  # an alias, then nothing
        ("pages.example.test", "A", dns.rcode.NOERROR),  # only has names below it
    ],
)
def test_negative_answers_bring_the_soa(resolver, name, rdtype, rcode):
    """No such name, and no such type: the SOA's TTL says how long that holds."""
    response = ask(resolver, name, rdtype)
    assert response.rcode() == rcode
    assert response.resolve_chaining().answer is None
    [soa] = response.authority
    assert soa.rdtype == dns.rdatatype.SOA
    assert soa.ttl == soa[0].minimum == 30


def test_cname_circle_ends():
    """Aliases in a circle give the circle once, as an answer without an end."""
    with Resolver() as resolver:
        resolver.set("a.example.test", "CNAME", "b.example.test")
        resolver.set("b.example.test", "CNAME", "a.example.test")
        assert values(ask(resolver, "a.example.test")) == [
            "b.example.test.",
            "a.example.test.",
        ]


def test_cname_out_of_the_zone():
    """An alias to a name of others is the whole answer: the client asks on there."""
    with Resolver() as resolver:
        resolver.set("out.example.test", "CNAME", "www.elsewhere.test")
        response = ask(resolver, "out.example.test")
        assert values(response) == ["www.elsewhere.test."]
        assert response.rcode() == dns.rcode.NOERROR


def test_cname_chain_is_bounded():
    """A chain of more than 16 aliases is not followed to its end."""
    with Resolver() as resolver:
        for i in range(40):
            resolver.set(f"n{i}.example.test", "CNAME", f"n{i + 1}.example.test")
        assert len(ask(resolver, "n0.example.test").answer) == 16


@pytest.mark.parametrize(
    ("name", "rdtype", "rdclass"),
    [
        ("www.elsewhere.test", "A", "IN"),
        (".", "NS", "IN"),
        ("version.bind", "TXT", "CH"),
        ("example.test", "AXFR", "IN"),
    ],
)
def test_refused(resolver, name, rdtype, rdclass):
    """Names of others, other classes and zone transfers are refused."""
    query = dns.message.make_query(name, rdtype, rdclass)
    response = dns.query.tcp(query, HOST, port=resolver.port, timeout=PATIENCE)
    assert response.rcode() == dns.rcode.REFUSED
    assert not response.answer and not response.flags & dns.flags.AA


def test_deepest_zone_answers():
    """Of two zones that hold a name, the one that is nearer to it answers."""
    outer = "$ORIGIN test.\n@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx.in 60 A 192.0.2.1\n"
    inner = "$ORIGIN in.test.\n@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx 60 A 192.0.2.2\n"
    with Resolver(outer, inner) as resolver:
        assert values(ask(resolver, "x.in.test")) == ["192.0.2.2"]


# -- sizes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "truncated"),
    [
        ("www.example.test", None, False),
        ("pool.example.test", None, True),  # 512 bytes for a client without EDNS
        ("pool.example.test", 100, True),  # less than 512 counts as 512
        ("pool.example.test", 1232, False),
        ("cdn.example.test", 1232, True),
        ("cdn.example.test", 4096, True),  # the server's own limit is 1232
    ],
)
def test_truncation(resolver, name, payload, truncated):
    """What the client can not take in one datagram has TC set, and fits."""
    edns = {} if payload is None else {"use_edns": 0, "payload": payload}
    response = ask(resolver, name, **edns)
    assert bool(response.flags & dns.flags.TC) == truncated
    assert len(response.wire) <= min(max(payload or 512, 512), 1232)


def test_fallback_to_tcp(resolver):
    """A client that falls back to TCP gets the whole answer."""
    query = dns.message.make_query("cdn.example.test", "A")
    response, used_tcp = dns.query.udp_with_fallback(
        query, HOST, port=resolver.port, timeout=PATIENCE
    )
    assert used_tcp
    assert values(response) == [f"203.0.113.{i}" for i in range(1, 101)]
    assert not response.flags & dns.flags.TC


def test_awaiting_client(resolver):
    """The same by await, many at a time."""

    async def ask_all():
        query = dns.message.make_query("www.example.test", "A")
        answers = await asyncio.gather(
            *[
                dns.asyncquery.udp(query, HOST, port=resolver.port, timeout=PATIENCE)
                for _ in range(20)
            ]
        )
        big = dns.message.make_query("cdn.example.test", "A")
        whole, used_tcp = await dns.asyncquery.udp_with_fallback(
            big, HOST, port=resolver.port, timeout=PATIENCE
        )
        return answers, whole, used_tcp

    answers, whole, used_tcp = asyncio.run(ask_all())
    assert all(values(answer) == ["192.0.2.1"] for answer in answers)
    assert used_tcp and len(values(whole)) == 100


# -- changing records ----------------------------------------------------------------


def test_set_replaces_at_once():
    """A record set while it runs is in the next answer, with its TTL."""
    with Resolver() as resolver:
        resolver.set("www.example.test", "A", "192.0.2.7", "192.0.2.8", ttl=5)
        response = ask(resolver, "www.example.test")
        assert values(response) == ["192.0.2.7", "192.0.2.8"]
        assert response.answer[0].ttl == 5
        assert values(ask(resolver, "www.example.test", "AAAA")) == ["2001:db8::1"]


def test_delete_leaves_no_name():
    """A name without its last record does not exist."""
    with Resolver() as resolver:
        resolver.delete("mail.example.test", "A")
        assert ask(resolver, "mail.example.test").rcode() == dns.rcode.NXDOMAIN


def test_records_survive_a_restart():
    """Records that were set stay through stop and start."""
    resolver = Resolver()
    resolver.set("new.example.test", "TXT", '"hello there"')
    with resolver:
        port = resolver.port
        assert values(ask(resolver, "new.example.test", "TXT")) == ['"hello there"']
    with resolver:
        assert resolver.port == port
        assert values(ask(resolver, "new.example.test", "TXT")) == ['"hello there"']


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("www.elsewhere.test", "A", "192.0.2.1"), "www.elsewhere.test."),
        (("www.example.test", "A", "300.0.2.1"), "300.0.2.1"),
        (("www.example.test", "A", "2001:db8::1"), "2001:db8::1"),
        (("www.example.test", "BOGUS", "1"), "BOGUS"),
        (("www.example.test", "A"), "delete"),
        (("a..example.test", "A", "192.0.2.1"), "a..example.test"),
        (("x" * 64 + ".example.test", "A", "192.0.2.1"), "x" * 64),
        (("sub.example.test", "NS", "ns.sub.example.test"), "NS"),
        (("example.test", "CNAME", "www.example.test"), "CNAME"),
    ],
)
def test_set_says_what_is_wrong(arguments, named):
    """A bad record is refused by an error that names the bad part."""
    with pytest.raises(ValueError, match=named):
        Resolver().set(*arguments)


def test_ttl_out_of_range_is_refused():
    """A TTL is a number of seconds from 0 to 2**31 - 1."""
    for ttl in (-1, 2**31):
        with pytest.raises(ValueError, match=str(ttl)):
            Resolver().set("www.example.test", "A", "192.0.2.1", ttl=ttl)


def test_zone_keeps_its_soa():
    """The record that makes a zone can not be deleted."""
    with pytest.raises(ValueError, match="SOA"):
        Resolver().delete("example.test", "SOA")


def test_set_from_threads_while_asked():
    """Answers are whole while several threads change the record."""
    with Resolver() as resolver:
        done = threading.Event()

        def change(last):
            while not done.is_set():
                resolver.set("www.example.test", "A", f"192.0.2.{last}", ttl=last)

        threads = [threading.Thread(target=change, args=(i,)) for i in (11, 12)]
        resolver.set("www.example.test", "A", "192.0.2.11", ttl=11)
        for thread in threads:
            thread.start()
        try:
            for _ in range(50):
                response = ask(resolver, "www.example.test")
                assert values(response) == [f"192.0.2.{response.answer[0].ttl}"]
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert not resolver.errors


# -- as a server ---------------------------------------------------------------------


def test_address_is_a_dns_url():
    """Its address is the dns: URL of RFC 4501, also for one name."""
    with Resolver() as resolver:
        assert resolver.url == f"dns://127.0.0.1:{resolver.port}"
        assert resolver.make_url("/www.example.test") == (
            f"dns://127.0.0.1:{resolver.port}/www.example.test"
        )


def test_requests_are_counted():
    """It counts the queries that it answered."""
    with Resolver() as resolver:
        for _ in range(3):
            ask(resolver, "www.example.test")
        assert resolver.requests == 3


def test_own_process():
    """It runs as a child process too."""
    with Resolver.in_process() as resolver:
        assert values(ask(resolver, "www.example.test")) == ["192.0.2.1"]


# -- dig: an implementation that we did not write ------------------------------------

COMPLAINTS = ("malformed", "mismatch", "bad packet", "extra bytes", "warning", "failed")


def dig(resolver, *arguments):
    """What dig prints. ``+norec``, or it warns that we do not ask others for it."""
    command = ["dig", f"@{HOST}", "-p", str(resolver.port), "+norec", "+tries=1"]
    result = subprocess.run(
        [*command, f"+time={PATIENCE}", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not any(word in result.stdout.lower() for word in COMPLAINTS), result.stdout
    assert not result.stderr
    return result.stdout


needs_dig = pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not here")


@needs_dig
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize("edns", ["+edns=0", "+noedns", "+bufsize=4096", "+dnssec"])
@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("www.example.test A", "status: NOERROR"),
        ("www.example.test AAAA", "2001:db8::1"),
        ("watch.example.test A", "ANSWER: 3"),
        ("example.test ANY", "ANSWER: 4"),
        ("absent.example.test A", "status: NXDOMAIN"),
        ("www.example.test MX", "AUTHORITY: 1"),
        ("cdn.example.test A", "ANSWER: 100"),  # by TCP in the end
        ("www.elsewhere.test A", "status: REFUSED"),
        ("-c CH version.bind TXT", "status: REFUSED"),
    ],
)
def test_dig_accepts(resolver, transport, edns, question, expected):
    """dig reads every kind of answer, on both transports, and has no complaint."""
    assert expected in dig(resolver, transport, edns, *question.split())


@needs_dig
def test_dig_short(resolver):
    """``dig +short`` prints the address alone."""
    assert dig(resolver, "+short", "www.example.test") == "192.0.2.1\n"


@needs_dig
def test_dig_sees_the_truncation(resolver):
    """dig falls back to TCP for itself, or shows TC when told not to."""
    assert "retrying in TCP mode" in dig(resolver, "+noedns", "pool.example.test")
    ignoring = dig(resolver, "+noedns", "+ignore", "pool.example.test")
    assert " tc" in ignoring.split("flags:")[1].split(";")[0]


@needs_dig
def test_dig_negotiates_the_edns_version(resolver):
    """dig offers EDNS version 1, hears BADVERS, and asks again with 0."""
    assert "status: BADVERS" in dig(
        resolver, "+edns=1", "+noednsnegotiation", "www.example.test"
    )
    assert "192.0.2.1" in dig(resolver, "+edns=1", "www.example.test")


@needs_dig
def test_dig_keeps_a_connection_open(resolver):
    """Several questions go through one TCP connection."""
    printed = dig(resolver, "+tcp", "+keepopen", "www.example.test", "cdn.example.test")
    assert "192.0.2.1" in printed and "203.0.113.100" in printed
