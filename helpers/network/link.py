"""Link: the line between a client and a TCP server, with its delays and its faults.

    with VideoServer() as server, Link(server, latency=0.020) as link:
        httpx.get(link.make_url("/videos/1"))
    ladder(link.capture)

It is a relay in user space, so two things are emulated and said to be: the TCP
handshake's round trip (the client's kernel has its connection at once; what it
sends first leaves one round trip later) and a cut, which is a reset on both
sides, where a real line may just fall silent (see :meth:`Link.stalled`).
"""

from __future__ import annotations

import contextlib
import errno
import math
from collections.abc import Callable, Iterator

from helpers.network.capture import Crossing, Direction, Event
from helpers.network.conditions import (
    CutSchedule,
    Lane,
    Setting,
    duration,
    quantity,
    rate,
)
from helpers.network.endpoint import Target, reset
from helpers.network.pair import CHUNK, PACED_CHUNK, Flow, Pair
from helpers.network.reactor import READ, clock
from helpers.network.relay import Relay

__all__ = ["Link"]

MAX_CONNECTIONS = 10_000
NOTED = 1000  # crossings noted before they are recorded


class Link(Relay):
    """A relay that delays, throttles, stalls and cuts, and captures all that crosses.

    latency          seconds that every byte takes, one way
    jitter           at most so many seconds more, at random; order is kept
    bandwidth        bytes per second in each direction, shared by all connections
    cut_after        break each connection after so many bytes, both ways counted
    cut_after_seconds   break each connection so long after it opened
    cut_every        break a connection at random, every so many bytes on average
    stall_after, stall  once so many bytes crossed, nothing moves for ``stall`` seconds
    seed             all chance is drawn from it: the same seed, the same faults

    All but ``cut_every``, ``stall_after`` and ``seed`` may be set while it runs:
    ``link.latency = 0.2``. Half-close, reset and backpressure pass through. The
    server may restart elsewhere: its address is asked for at each connection. A
    link that starts again meets the same faults again.
    """

    transport = "tcp"

    cut_after = Setting(None, quantity)
    cut_after_seconds = Setting(None, rate)

    def __init__(
        self,
        target: Target,
        *,
        latency: float = 0.0,
        jitter: float = 0.0,
        bandwidth: float | None = None,
        cut_after: int | None = None,
        cut_after_seconds: float | None = None,
        cut_every: float | None = None,
        stall_after: int | None = None,
        stall: float = math.inf,
        seed: int = 0,
        name: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(target, seed=seed, name=name, host=host, port=port)
        self._cut_every = rate("cut_every", cut_every)
        self._stall_after = quantity("stall_after", stall_after)
        self._stall = duration("stall", stall)
        self.begin_anew()
        self.latency = latency
        self.jitter = jitter
        self.bandwidth = bandwidth
        self.cut_after = cut_after
        self.cut_after_seconds = cut_after_seconds
        self._noted: list[tuple[float, Flow, bytes, int]] = []
        self._room = self.capture.room
        self.pairs: set[Pair] = set()
        self.buffer = memoryview(bytearray(CHUNK))
        self.paced_buffer = self.buffer[:PACED_CHUNK]

    def begin_anew(self) -> None:
        self._opened = 0
        self.stalls = 0
        self._stall_at = self._stall_after
        self.cuts = CutSchedule(self._cut_every, self.seed)
        self.lanes = {direction: Lane() for direction in Direction}

    @property
    def requests(self) -> int:
        """A link does not know requests: the connections that it carried."""
        return self._opened

    def cut(self) -> None:
        """Break all connections that are open now.

        Raises RuntimeError when the link does not run.
        """
        self._do(lambda: [pair.cut() for pair in list(self.pairs)])

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Nothing moves in here, yet the connections stay: a line fallen silent.

        Raises RuntimeError when the link does not run.
        """
        self._do(self._begin_stall)
        reactor = self.reactor
        try:
            yield
        finally:
            reactor.call_soon(self._end_stall)

    def _do(self, callback: Callable[[], object]) -> None:
        """Run it on the reactor's thread, and return when it is done."""
        if not self.running:
            raise RuntimeError(f"{self.name} does not run: start it, or use `with`")
        self.reactor.call_soon(callback)
        self.reactor.settle()

    def _card(self) -> dict[str, str]:
        card = super()._card()
        card["connections"] = card.pop("requests")
        return card

    # -- on the reactor's thread ------------------------------------------------------

    def receive(self) -> None:
        for _ in range(100):  # then let the others have their turn
            try:
                client, _ = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self.errors.append(error)
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._rest_from_accepting()
                return
            if len(self.pairs) >= MAX_CONNECTIONS:
                reset(client)
                continue
            try:
                pair = Pair(self, client, self._opened + 1)
            except OSError as error:  # no descriptor for its other half
                self.errors.append(error)
                reset(client)
                return
            self._opened += 1
            self.pairs.add(pair)

    def _rest_from_accepting(self) -> None:
        """Out of descriptors: a selector would report the listener for ever."""
        self.reactor.listen(self.socket, 0, self.receive)
        self.reactor.call_at(
            clock() + 0.1,
            lambda: self.reactor.listen(self.socket, READ, self.receive),
        )

    def close(self) -> None:
        self.account()
        for pair in list(self.pairs):
            pair.end()

    def settings_changed(self) -> None:
        """Whether this link adds nothing at all decides which way bytes take."""
        settings = self.latency, self.jitter, self.bandwidth, self.cut_after
        faults = self._cut_every, self._stall_at, self.stalls
        self.transparent = not any((*settings, *faults))

    def note(self, flow: Flow, view: memoryview, size: int) -> None:
        """Note what just crossed, for :meth:`account` to record when there is time.

        Recording at once would keep the next byte waiting for microseconds.
        """
        if size > self._room or len(self._noted) >= NOTED:
            self.account()
        data = bytes(view) if size <= self._room else b""
        self._room -= len(data)
        self._noted.append((clock(), flow, data, size))

    def account(self) -> None:
        """Record in the capture what was noted."""
        noted, self._noted = self._noted, []
        for now, flow, data, size in noted:
            moment = now - self.started_at
            number, way = flow.pair.number, flow.direction
            self.capture.record(
                Crossing(moment, moment, number, way, Event.DATA, data, size)
            )
        self._room = self.capture.room

    def settle(self) -> None:
        self.reactor.call_soon(self.account)
        self.reactor.settle()

    def _begin_stall(self) -> None:
        self.stalls += 1
        self.settings_changed()

    def _end_stall(self) -> None:
        self.stalls -= 1
        self.settings_changed()
        if not self.stalls:
            for pair in list(self.pairs):
                pair.wake_up()

    def until_stall(self) -> int | None:
        """How many bytes still cross before the planned stall; None: no such plan."""
        return None if self._stall_at is None else self._stall_at - self.cuts.crossed

    def stall_is_due(self) -> bool:
        """True once: for the flow whose byte was the last before the stall."""
        due = self.until_stall() == 0
        if due:
            self._stall_at = None
        return due

    def stall_as_planned(self) -> None:
        self._begin_stall()
        self.reactor.call_at(clock() + self._stall, self._end_stall)
