"""Zone: the records of one domain and all below it, as a zone file writes them."""

from __future__ import annotations

import threading

import dns.exception
import dns.name
import dns.rdataset
import dns.rdatatype
import dns.zone
from dns.name import Name
from dns.rdataset import Rdataset
from dns.rdatatype import RdataType
from dns.rrset import RRset

__all__ = ["EXAMPLE_ZONE", "Zone", "full_name", "record_type"]

MAX_TTL = 2**31 - 1  # seconds (RFC 2181 section 8)

# Names under .test and these addresses belong to nobody: they are set aside for
# documentation (RFC 6761, RFC 5737, RFC 3849). "@" is the origin; a name without a
# dot at its end lies below it; a number before the type is the record's own TTL, in
# seconds. The last number of the SOA is how long "no such name" may be kept.
EXAMPLE_ZONE = """\
$ORIGIN example.test.
$TTL 300
@           SOA    ns hostmaster 1 7200 900 1209600 30
            NS     ns
            MX     10 mail
            TXT    "v=spf1 mx -all"
ns          A      192.0.2.53
mail        A      192.0.2.25
www     60  A      192.0.2.1
        60  AAAA   2001:db8::1
video       CNAME  www
watch       CNAME  video
lost        CNAME  nowhere
*.pages     A      192.0.2.80

; 40 addresses do not fit in 512 bytes, 100 not in 1232 either.
$GENERATE 1-40  pool A 198.51.100.$
$GENERATE 1-100 cdn  A 203.0.113.$
"""


class Zone:
    """Records by name and type. Any thread may read and change them.

    Raises ValueError for text that is no zone file (RFC 1035 section 5), has no
    $ORIGIN, SOA or NS, or hands a part of its names to other servers (NS below the
    origin, DNAME), which needs more than looking up.
    """

    def __init__(self, text: str) -> None:
        self._zone = _read(text)
        self.origin: Name = self._zone.origin
        self._lock = threading.Lock()
        for name, rdataset in self._zone.iterate_rdatasets():
            self._refuse_unserved(name, rdataset.rdtype)

    def rrsets(self, name: Name) -> list[RRset] | None:
        """The records at ``name``; None when the name does not exist.

        A name with records below it exists, with none of its own (RFC 8020). Where
        a name does not exist, ``*`` stands in for it (RFC 4592).
        """
        with self._lock:
            owner = name if self._exists(name) else self._wildcard(name)
            if not self._exists(owner):
                return None
            node = self._zone.get_node(owner) or ()
            return [_rrset(name, rdataset) for rdataset in node]

    def negative_soa(self) -> RRset:
        """The SOA as it goes with a "no": its TTL is how long to remember that.

        The smaller of its own TTL and its last number, RFC 2308 section 3.
        """
        with self._lock:
            rdataset = self._zone.get_rdataset(self.origin, dns.rdatatype.SOA)
            soa = _rrset(self.origin, rdataset)
        soa.ttl = min(soa.ttl, soa[0].minimum)
        return soa

    def set(self, name: Name, rdataset: Rdataset) -> None:
        """Put ``rdataset`` in the place of all records of this name and type.

        A CNAME stands alone at its name (RFC 1034 section 3.6.2): it drives out the
        others, and they it.
        """
        self._refuse_unserved(name, rdataset.rdtype)
        with self._lock:
            self._zone.replace_rdataset(name, rdataset)

    def delete(self, name: Name, rdtype: RdataType) -> None:
        """Remove the records of this name and type, if there are any."""
        if name == self.origin and rdtype in (dns.rdatatype.SOA, dns.rdatatype.NS):
            raise ValueError(f"a zone without its {rdtype.name} is none")
        with self._lock:
            self._zone.delete_rdataset(name, rdtype)

    def _exists(self, name: Name) -> bool:
        return name in self._zone.nodes or any(
            owner.is_subdomain(name) for owner in self._zone.nodes
        )

    def _wildcard(self, name: Name) -> Name:
        """``*`` below the closest ancestor of ``name`` that exists."""
        while not self._exists(name):
            name = name.parent()
        return Name((b"*", *name.labels))

    def _refuse_unserved(self, name: Name, rdtype: RdataType) -> None:
        at_origin = name == self.origin
        if (
            rdtype == dns.rdatatype.DNAME
            or (rdtype == dns.rdatatype.NS and not at_origin)
            or (rdtype == dns.rdatatype.CNAME and at_origin)
            or (rdtype == dns.rdatatype.SOA and not at_origin)
        ):
            raise ValueError(f"this server can not have a {rdtype.name} at {name}")


def full_name(name: str) -> Name:
    """The DNS name that ``name`` writes in full, with or without its last dot.

    Raises ValueError when it has an empty label, one over 63 bytes, or is over 255
    bytes long (RFC 1035 section 2.3.4).
    """
    try:
        return dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise ValueError(f"{name!r} is no DNS name: {error}") from error


def record_type(rdtype: str) -> RdataType:
    """The record type of this name. Raises ValueError when there is none."""
    try:
        return dns.rdatatype.from_text(rdtype)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"no record type {rdtype!r}: try A, AAAA or TXT") from error


def _read(text: str) -> dns.zone.Zone:
    try:
        zone = dns.zone.from_text(text, relativize=False, check_origin=False)
        if zone.origin is None:
            raise ValueError("no zone: it has no $ORIGIN")
        zone.check_origin()
    except (dns.exception.DNSException, KeyError) as error:
        raise ValueError(f"no zone: {type(error).__name__}: {error}") from error
    return zone


def _rrset(name: Name, rdataset: Rdataset) -> RRset:
    """A copy, which the caller may change."""
    rrset = RRset(name, rdataset.rdclass, rdataset.rdtype, rdataset.covers)
    rrset.update(rdataset)
    return rrset
