"""Cache: answers of DNS servers, each kept as long as its TTL allows."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import dns.rcode
import dns.rdatatype
from dns.message import Message
from dns.name import Name
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rrset import RRset

from helpers.servers.dns_query import matches

__all__ = ["Answer", "Cache"]

MAX_TTL = 86_400  # seconds; nobody gets to fix our memory for longer than a day
MAX_NEGATIVE_TTL = 10_800  # RFC 2308 section 5: up to three hours worked well

Clock = Callable[[], float]
Key = tuple[Name, RdataType]


@dataclass(frozen=True)
class Answer:
    """What of a response can be told to the next client that asks the same."""

    rcode: Rcode
    answer: list[RRset]
    authority: list[RRset]  # the SOA of a negative answer, otherwise nothing

    @classmethod
    def from_response(cls, response: Message) -> Self:
        records = [_limited(rrset, MAX_TTL) for rrset in response.answer]
        soa = [
            _limited(rrset, min(rrset[0].minimum, MAX_NEGATIVE_TTL))
            for rrset in response.authority
            if rrset.rdtype == dns.rdatatype.SOA
        ]
        return cls(response.rcode(), records, soa)

    def lifetime(self, rdtype: RdataType) -> int:
        """For how many seconds it may be kept; 0 when not at all.

        That is the smallest TTL in it. Only NOERROR and NXDOMAIN are kept, and a
        negative one only with its SOA (RFC 2308 section 5).
        """
        if self.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return 0
        found = any(matches(rrset, rdtype) for rrset in self.answer)
        if not found and not self.authority:
            return 0
        return min(rrset.ttl for rrset in [*self.answer, *self.authority])

    def aged(self, seconds: int) -> Answer:
        """The same, as it is to be told so much later: with less time to live."""
        return Answer(
            self.rcode,
            [_limited(rrset, rrset.ttl - seconds) for rrset in self.answer],
            [_limited(rrset, rrset.ttl - seconds) for rrset in self.authority],
        )


@dataclass(frozen=True)
class _Kept:
    answer: Answer
    since: float
    until: float


class Cache:
    """At most ``max_entries`` answers; the one unused for longest goes first.

    Names are the same in upper and lower case (RFC 4343). ``clock`` gives seconds.
    Any thread may use it. ``hits`` and ``misses`` count what :meth:`get` found.
    """

    def __init__(self, max_entries: int = 1000, clock: Clock = time.monotonic) -> None:
        if max_entries < 1:
            raise ValueError(
                f"a cache has room for 1 answer or more, not {max_entries}"
            )
        self.max_entries = max_entries
        self.hits = 0
        self.misses = 0
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: Name, rdtype: RdataType) -> Answer | None:
        """The answer kept for this question, aged; None when there is none."""
        now = self._clock()
        with self._lock:
            kept = self._kept.pop((name, rdtype), None)
            if kept is None or now >= kept.until:
                self.misses += 1
                return None
            self.hits += 1
            self._kept[name, rdtype] = kept  # at the end: the latest used
        return kept.answer.aged(int(now - kept.since))

    def put(self, name: Name, rdtype: RdataType, answer: Answer) -> None:
        """Keep ``answer`` for its lifetime, which may be not at all."""
        lifetime = answer.lifetime(rdtype)
        if lifetime == 0:
            return
        now = self._clock()
        with self._lock:
            self._kept.pop((name, rdtype), None)
            self._kept[name, rdtype] = _Kept(answer, now, now + lifetime)
            if len(self._kept) > self.max_entries:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all answers; the counters stay."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<Cache {len(self)} answers, {self.hits} hits, {self.misses} misses>"


def _limited(rrset: RRset, ttl: int) -> RRset:
    """A copy that lives for ``ttl`` seconds at most."""
    copy = rrset.copy()
    copy.ttl = min(rrset.ttl, ttl)
    return copy
