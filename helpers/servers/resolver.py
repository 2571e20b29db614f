"""Resolver: a DNS server that answers from zones of its own.

    with Resolver() as resolver:
        query = dns.message.make_query("www.example.test", "A")
        dns.query.udp(query, "127.0.0.1", port=resolver.port)

In the words of RFC 9499 it is an authoritative server: it knows its answers, and says
so by the AA bit. The one that asks others and remembers is in caching_resolver.py.
"""

from __future__ import annotations

from typing import Any

import dns.exception
import dns.flags
import dns.name
import dns.rcode
import dns.rdataset
from dns.message import Message
from dns.name import Name
from dns.rdataset import Rdataset
from dns.rdatatype import CNAME, RdataType

from helpers.servers.dns_query import matches
from helpers.servers.dns_server import DNSServer
from helpers.servers.zone import (
    EXAMPLE_ZONE,
    MAX_TTL,
    Zone,
    full_name,
    record_type,
)

__all__ = ["Resolver"]

# No honest chain of aliases is longer; dnspython's own client gives up there too.
MAX_CHAIN = 16


class Resolver(DNSServer):
    """A DNS server for ``zones``, each the text of a zone file.

    Outside its zones it answers REFUSED. A name that does not exist is NXDOMAIN; one
    without records of the type asked for is an empty NOERROR (NODATA). Both bring the
    zone's SOA, which says how long to remember them (RFC 2308).

    Raises ValueError for a text that is no zone, see :class:`Zone`.
    """

    def __init__(self, *zones: str, **server: Any) -> None:
        super().__init__(**server)
        self._zones = [Zone(text) for text in zones or (EXAMPLE_ZONE,)]

    def set(self, name: str, rdtype: str, *values: str, ttl: int = 300) -> None:
        """Replace the records of this name and type; at once, from any thread.

        Names are written in full: ``set("www.example.test", "A", "192.0.2.7", ttl=5)``.
        Values are written as in a zone file, ``ttl`` is in seconds.

        Raises ValueError for a name outside the zones, a type or a value that is
        none, and a TTL outside 0 to 2**31 - 1.
        """
        owner = full_name(name)
        self._own_zone(owner).set(owner, _rdataset(rdtype, values, ttl))

    def delete(self, name: str, rdtype: str) -> None:
        """Remove the records of this name and type, if there are any.

        Raises ValueError for a name outside the zones, and for their SOA and NS.
        """
        owner = full_name(name)
        self._own_zone(owner).delete(owner, record_type(rdtype))

    async def resolve(self, query: Message, response: Message) -> None:
        question = query.question[0]
        if self._zone_of(question.name) is None:
            response.set_rcode(dns.rcode.REFUSED)
        else:
            response.flags |= dns.flags.AA
            self._look_up(question.name, question.rdtype, response)

    def _look_up(self, name: Name, rdtype: RdataType, response: Message) -> None:
        """Follow the aliases to the records (RFC 1034 section 4.3.2).

        An alias that leads out of our zones, or in a circle, ends the search: the
        answer is then the chain so far.
        """
        seen: set[Name] = set()
        while (zone := self._zone_of(name)) and name not in seen:
            seen.add(name)
            rrsets = zone.rrsets(name)
            found = [rrset for rrset in rrsets or () if matches(rrset, rdtype)]
            aliases = [rrset for rrset in rrsets or () if rrset.rdtype == CNAME]
            response.answer += found or aliases
            if found or len(seen) == MAX_CHAIN:
                return
            if not aliases:
                response.authority.append(zone.negative_soa())
                if rrsets is None:
                    response.set_rcode(dns.rcode.NXDOMAIN)
                return
            name = aliases[0][0].target

    def _zone_of(self, name: Name) -> Zone | None:
        """The zone that ``name`` lies in; the deepest, when they are nested."""
        inside = [zone for zone in self._zones if name.is_subdomain(zone.origin)]
        return max(inside, key=lambda zone: len(zone.origin), default=None)

    def _own_zone(self, name: Name) -> Zone:
        zone = self._zone_of(name)
        if zone is None:
            origins = ", ".join(str(zone.origin) for zone in self._zones)
            raise ValueError(f"{name} is not in a zone of this server: {origins}")
        return zone


def _rdataset(rdtype: str, values: tuple[str, ...], ttl: int) -> Rdataset:
    if not values:
        raise ValueError(f"no value for {rdtype}: to remove records use delete()")
    if not 0 <= ttl <= MAX_TTL:
        raise ValueError(f"a TTL is 0 to {MAX_TTL} seconds, not {ttl}")
    record_type(rdtype)
    try:
        return dns.rdataset.from_text_list(
            "IN", rdtype, ttl, values, origin=dns.name.root, relativize=False
        )
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"no {rdtype} record: {values}: {error}") from error
