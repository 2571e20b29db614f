"""What crossed a link: when, which way, which bytes.

A capture keeps two kinds of account. The counters (connections, bytes, chunks,
round trips) are exact however long it runs. The bytes themselves are kept up to
a bound; past it the capture says how much it dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Capture", "Connection", "Crossing", "Direction", "Event"]

# More than anybody reads, and small beside Binder's 2 GB even for dozens of links.
KEPT_BYTES = 2 * 1024 * 1024
# A record without payload costs about 200 bytes, so this bounds it by 20 MB.
KEPT_RECORDS = 100_000


class Direction(StrEnum):
    TO_SERVER = "to server"
    TO_CLIENT = "to client"


class Event(StrEnum):
    """What a record tells of."""

    OPEN = "open"  # the client connected (TCP), or its first datagram came (UDP)
    DATA = "data"
    STALL = "stall"  # nothing moves any more, as was asked of the link
    END = "end"  # this side sends no more (FIN)
    RESET = "reset"  # one end broke the connection (RST)
    CUT = "cut"  # the link broke it


class Crossing(NamedTuple):
    """One thing that crossed the link, or was lost on it.

    Times are in seconds since the link started. ``arrived`` is None for what was
    lost on the way. ``data`` is empty where the capture had no room left; ``size``
    is the number of bytes in any case.
    """

    sent: float
    arrived: float | None
    connection: int
    direction: Direction
    event: Event = Event.DATA
    data: bytes = b""
    size: int = 0

    @property
    def lost(self) -> bool:
        return self.arrived is None


@dataclass(slots=True)
class Connection:
    """The exact account of one connection, or of one UDP client."""

    number: int
    opened: float
    bytes_to_server: int = 0
    bytes_to_client: int = 0
    round_trips: int = 0
    client_spoke_last: bool = field(default=False, repr=False)


class Capture:
    """The record of one link. Written by the link's thread, read by any other.

    ``transport`` is "tcp" or "udp".
    """

    def __init__(
        self,
        transport: str = "tcp",
        *,
        keep_bytes: int = KEPT_BYTES,
        keep_records: int = KEPT_RECORDS,
    ) -> None:
        self.transport = transport
        self.keep_bytes = keep_bytes
        self.keep_records = keep_records
        # A link sends first and records then. Who reads a capture calls this before,
        # so that a client with its answer in hand finds it recorded.
        self.settle: Callable[[], object] = _nothing_to_wait_for
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything, for example between two experiments on one link."""
        self.settle()
        with self._lock:
            self._crossings: list[Crossing] = []
            self._kept_bytes = 0
            self.dropped_bytes = 0
            self.dropped_records = 0
            self.lost = 0
            self.log: dict[int, Connection] = {}

    # -- written by the link ------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more bytes would be kept: a link need not copy others."""
        return self.keep_bytes - self._kept_bytes

    def record(self, crossing: Crossing) -> None:
        """Account for one crossing, and keep it while there is room.

        What arrived and comes without its data was not kept for want of room.
        """
        with self._lock:
            self._count(crossing)
            if len(self._crossings) >= self.keep_records:
                self.dropped_records += 1
                self.dropped_bytes += 0 if crossing.lost else crossing.size
                return
            data = crossing.data
            if len(data) > self.room:
                crossing = crossing._replace(data=b"")
            self._kept_bytes += len(crossing.data)
            if not crossing.lost:
                self.dropped_bytes += crossing.size - len(crossing.data)
            self._crossings.append(crossing)

    def _count(self, crossing: Crossing) -> None:
        connection = self.log.get(crossing.connection)
        if connection is None:
            connection = Connection(crossing.connection, crossing.sent)
            self.log[crossing.connection] = connection
        if crossing.event is Event.OPEN and self.transport == "tcp":
            connection.round_trips += 1  # SYN and SYN-ACK (RFC 9293, section 3.5)
        if crossing.event is not Event.DATA:
            return
        if crossing.lost:
            self.lost += 1
            return
        to_server = crossing.direction is Direction.TO_SERVER
        if to_server:
            connection.bytes_to_server += crossing.size
        else:
            connection.bytes_to_client += crossing.size
            # A round trip is over when an answer follows what the client said.
            connection.round_trips += connection.client_spoke_last
        connection.client_spoke_last = to_server

    # -- read by everybody else -----------------------------------------------------

    def _accounts(self) -> list[Connection]:
        self.settle()
        return list(self.log.values())

    @property
    def connections(self) -> int:
        return len(self._accounts())

    @property
    def bytes_to_server(self) -> int:
        """Payload bytes that arrived at the server; lost ones do not count."""
        return sum(c.bytes_to_server for c in self._accounts())

    @property
    def bytes_to_client(self) -> int:
        return sum(c.bytes_to_client for c in self._accounts())

    @property
    def round_trips(self) -> int:
        """How often the client waited for the other end, summed over connections.

        One for each TCP handshake, and one each time an answer follows something
        that the client sent. What is pipelined shares one.
        """
        return sum(c.round_trips for c in self._accounts())

    @property
    def duration(self) -> float:
        """Seconds from the first thing that was sent to the last that arrived."""
        kept = [crossing for crossing in self if not crossing.lost]
        if not kept:
            return 0.0
        return max(crossing.arrived for crossing in kept) - kept[0].sent

    @property
    def complete(self) -> bool:
        """Whether all that crossed is kept, bytes and all."""
        return not (self.dropped_bytes or self.dropped_records)

    def __iter__(self) -> Iterator[Crossing]:
        """The kept crossings, by when they were sent; the lost part of a chunk last."""
        self.settle()
        with self._lock:
            kept = list(self._crossings)
        return iter(sorted(kept, key=lambda crossing: (crossing.sent, crossing.lost)))

    def __len__(self) -> int:
        return len(self._crossings)

    def __repr__(self) -> str:
        text = (
            f"<Capture {self.connections} {self.transport} connections, "
            f"{self.round_trips} round trips, {self.bytes_to_server} bytes to the "
            f"server, {self.bytes_to_client} to the client"
        )
        if self.lost:
            text += f", {self.lost} lost"
        if not self.complete:
            text += f"; no room for {self.dropped_bytes} of the bytes"
        return text + ">"


def _nothing_to_wait_for() -> None:
    """For a capture that no link writes."""
