"""DatagramLink: the line between a client and a UDP server.

    with Resolver() as server, DatagramLink(server, loss=0.2, seed=1) as link:
        dns.query.udp(question, link.host, port=link.port)

UDP promises nothing, and this line keeps to that: a datagram may vanish, come
twice, or be overtaken by a later one.
"""

from __future__ import annotations

import functools
import random
import socket
from collections import OrderedDict

from helpers.network.capture import Crossing, Direction, Event
from helpers.network.conditions import Lane, Setting, chance, duration
from helpers.network.endpoint import Target, address_of
from helpers.network.reactor import READ, clock
from helpers.network.relay import Relay

__all__ = ["DatagramLink"]

LARGEST = 65_535  # the length field of UDP has 16 bits (RFC 768)
MAX_CLIENTS = 1_000  # one socket each; the longest silent one makes room
MAX_UNDER_WAY = 10_000  # datagrams; a full queue drops, as a router's does
A_TURN = 100  # datagrams read before timers and others have theirs


class DatagramLink(Relay):
    """A relay for datagrams that delays, drops, doubles and reorders them.

    latency      seconds that every datagram takes, one way
    jitter       at most so many seconds more, at random; may change the order
    bandwidth    bytes per second in each direction
    loss         the chance of a datagram to vanish
    duplication  the chance of a datagram to arrive twice
    reordering   the chance of a datagram to take ``reorder_by`` seconds more, so
                 that later ones overtake it
    seed         the fate of the n-th datagram in each direction follows from it

    All but ``seed`` may be set while it runs.
    """

    transport = "udp"

    loss = Setting(0.0, chance)
    duplication = Setting(0.0, chance)
    reordering = Setting(0.0, chance)
    reorder_by = Setting(0.050, duration)

    def __init__(
        self,
        target: Target,
        *,
        latency: float = 0.0,
        jitter: float = 0.0,
        bandwidth: float | None = None,
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
        reorder_by: float = 0.050,
        seed: int = 0,
        name: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(target, seed=seed, name=name, host=host, port=port)
        self.latency = latency
        self.jitter = jitter
        self.bandwidth = bandwidth
        self.loss = loss
        self.duplication = duplication
        self.reordering = reordering
        self.reorder_by = reorder_by
        self._seen = 0

    def begin_anew(self) -> None:
        self._clients: OrderedDict[tuple, _Client] = OrderedDict()
        self._lanes = {way: Lane() for way in Direction}
        self._chances = {way: random.Random(f"{self.seed}:{way}") for way in Direction}
        self._under_way = self._seen = self._numbers = 0

    @property
    def requests(self) -> int:
        """A link does not know requests: the datagrams that came from clients."""
        return self._seen

    def _card(self) -> dict[str, str]:
        card = super()._card()
        card["address"] = card["address"].replace("http://", "udp ")
        card["datagrams"] = card.pop("requests")
        return card

    # -- on the reactor's thread ------------------------------------------------------

    def receive(self) -> None:
        for _ in range(A_TURN):
            try:
                data, address = self.socket.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:  # ICMP: an answer found nobody at its client's port
                continue
            self._seen += 1
            client = self._client(address)
            self._carry(client, Direction.TO_SERVER, data)

    def _client(self, address: tuple) -> _Client:
        client = self._clients.get(address)
        if client is None:
            if len(self._clients) >= MAX_CLIENTS:
                # the one that has been silent for longest
                _, oldest = self._clients.popitem(last=False)
                self.reactor.listen(oldest.socket, 0, self.receive)
                oldest.socket.close()
            self._numbers += 1
            client = _Client(self._numbers, address, self.family)
            self._clients[address] = client
            self.reactor.listen(
                client.socket, READ, functools.partial(self._from_server, client)
            )
        self._clients.move_to_end(address)
        return client

    def _from_server(self, client: _Client) -> None:
        for _ in range(A_TURN):
            try:
                data = client.socket.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:  # ICMP: nobody listens at the server's port
                continue
            self._carry(client, Direction.TO_CLIENT, data)

    def _carry(self, client: _Client, way: Direction, data: bytes) -> None:
        """Decide the fate of one datagram."""
        now = clock()
        # All are drawn each time, so that one fault does not shift another's luck.
        lost, doubled, late, wobble = (self._chances[way].random() for _ in range(4))
        if lost < self.loss or self._under_way >= MAX_UNDER_WAY:
            self._record(client, way, data, now, None)
            return
        for _ in range(2 if doubled < self.duplication else 1):
            arrival = self._lanes[way].arrival(
                now, len(data), latency=self.latency, bandwidth=self.bandwidth
            )
            arrival += wobble * self.jitter
            if late < self.reordering:
                arrival += self.reorder_by
            self._under_way += 1
            self.reactor.call_at(
                arrival, functools.partial(self._deliver, client, way, data, now)
            )

    def _deliver(
        self, client: _Client, way: Direction, data: bytes, sent: float
    ) -> None:
        self._under_way -= 1
        try:
            if way is Direction.TO_SERVER:
                client.socket.sendto(data, address_of(self.target))
            else:
                self.socket.sendto(data, client.address)
        except OSError:  # nobody there, or no room: a datagram vanishes
            self._record(client, way, data, sent, None)
        else:
            self._record(client, way, data, sent, clock())

    def _record(
        self,
        client: _Client,
        way: Direction,
        data: bytes,
        sent: float,
        arrived: float | None,
    ) -> None:
        start = self.started_at
        arrived = None if arrived is None else arrived - start
        self.capture.record(
            Crossing(
                sent - start, arrived, client.number, way, Event.DATA, data, len(data)
            )
        )

    def close(self) -> None:
        for client in self._clients.values():
            self.reactor.listen(client.socket, 0, self.receive)
            client.socket.close()


class _Client:
    """A client is an address; the server sees each as a socket of the link."""

    def __init__(self, number: int, address: tuple, family: int) -> None:
        self.number = number
        self.address = address
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        # A socket without a port can not be listened to. Loopback, as all is here.
        self.socket.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
