"""The records of a zone: what exists, what stands in for it, what is refused."""

import dns.name
import dns.rdataset
import pytest

from helpers.servers.zone import EXAMPLE_ZONE, Zone, full_name, record_type

HEAD = "$ORIGIN example.test.\n@ 300 SOA ns h 1 2 3 4 {minimum}\n@ 300 NS ns\n"


def texts(rrsets):
    return [rdata.to_text() for rrset in rrsets for rdata in rrset]


def test_example_zone():
    """The zone of the workbook is one, and has a set too big for a datagram."""
    zone = Zone(EXAMPLE_ZONE)
    assert zone.origin == full_name("example.test")
    assert len(zone.rrsets(full_name("cdn.example.test"))[0]) == 100


def test_names_between_exist():
    """A name with records below it exists, and has none (RFC 8020)."""
    zone = Zone(HEAD.format(minimum=5) + "a.b.c 60 A 192.0.2.1\n")
    assert zone.rrsets(full_name("b.c.example.test")) == []
    assert zone.rrsets(full_name("x.b.c.example.test")) is None


def test_wildcard_stands_in_for_what_does_not_exist():
    """The rules of RFC 4592: * covers all below it, but nothing that exists."""
    zone = Zone(
        HEAD.format(minimum=5) + "* 60 A 192.0.2.1\nwww 60 A 192.0.2.2\na.b 60 TXT x\n"
    )
    ask = lambda name: zone.rrsets(full_name(name))  # noqa: E731
    assert texts(ask("other.example.test")) == ["192.0.2.1"]
    assert texts(ask("deep.other.example.test")) == ["192.0.2.1"]
    assert texts(ask("www.example.test")) == ["192.0.2.2"]
    assert ask("below.www.example.test") is None
    assert ask("b.example.test") == []
    assert ask("c.b.example.test") is None
    assert ask("other.example.test")[0].name == full_name("other.example.test")


@pytest.mark.parametrize(("minimum", "ttl"), [(5, 5), (900, 300)])
def test_negative_soa_has_the_smaller_ttl(minimum, ttl):
    """A "no" is kept for the SOA's minimum, or its TTL if that is less (RFC 2308)."""
    zone = Zone(HEAD.format(minimum=minimum))
    assert zone.negative_soa().ttl == ttl
    assert zone.rrsets(zone.origin)[0].ttl == 300  # the record itself is unchanged


def test_cname_stands_alone():
    """A CNAME drives out the other records of its name, and they it."""
    zone = Zone(HEAD.format(minimum=5))
    name = full_name("x.example.test")
    address = dns.rdataset.from_text("IN", "A", 60, "192.0.2.1")
    zone.set(name, address)
    zone.set(name, dns.rdataset.from_text("IN", "CNAME", 60, "www.example.test."))
    assert texts(zone.rrsets(name)) == ["www.example.test."]
    zone.set(name, address)
    assert texts(zone.rrsets(name)) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ORIGIN"),
        ("@ 60 A 192.0.2.1\n", "no zone"),
        ("$ORIGIN example.test.\n", "no zone"),
        ("$ORIGIN example.test.\n@ 60 NS ns\n", "SOA"),
        ("$ORIGIN example.test.\n@ 60 SOA ns h 1 2 3 4 5\n", "NS"),
        (HEAD.format(minimum=5) + "www 60 A 192.0.2\n", "malformed"),
        (HEAD.format(minimum=5) + "sub 60 NS ns.sub\n", "NS at sub.example.test."),
        (HEAD.format(minimum=5) + "sub 60 DNAME other.test.\n", "DNAME"),
    ],
)
def test_text_that_is_no_zone(text, reason):
    """What can not be served is refused when it is read, with the reason."""
    with pytest.raises(ValueError, match=reason):
        Zone(text)


def test_full_name():
    """A name is read in full, with or without its last dot."""
    assert full_name("a.test") == full_name("a.test.") == dns.name.from_text("a.test.")


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", "abc." * 64])
def test_no_name(name):
    """Empty labels, labels over 63 and names over 255 bytes are refused."""
    with pytest.raises(ValueError, match="no DNS name"):
        full_name(name)


@pytest.mark.parametrize("rdtype", ["", "BOGUS", "TYPE99999"])
def test_no_record_type(rdtype):
    """The error repeats what is no record type."""
    with pytest.raises(ValueError, match=f"no record type '{rdtype}'"):
        record_type(rdtype)
