"""One connection of a link: two sockets, and what is under way between them.

Everything here runs on the thread of the link's reactor.
"""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from helpers.network.capture import Crossing, Direction, Event
from helpers.network.endpoint import address_of, reset, unsent
from helpers.network.reactor import READ, WRITE, clock

if TYPE_CHECKING:
    from helpers.network.link import Link

__all__ = ["CHUNK", "PACED_CHUNK", "Pair"]

CHUNK = 256 * 1024  # as asyncio reads (selector_events.py, max_size)
PACED_CHUNK = 4 * 1024  # with a bandwidth, so that bytes trickle and do not lump
IN_FLIGHT = 4 * 1024 * 1024  # what a line with delay may hold in each direction
CUT_PATIENCE = 1.0  # seconds without a byte taken, until a cut waits no longer


class Pair:
    """One connection of a link: the client's socket, the server's, and two flows."""

    def __init__(self, link: Link, client: socket.socket, number: int) -> None:
        self.link = link
        self.reactor = link.reactor
        self.number = number
        self.opened = clock()
        self.connected = self.over = False
        self.crossed = 0
        self.client = client
        self.server = socket.socket(link.family, socket.SOCK_STREAM)
        for sock in (self.client, self.server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        latency = link.latency
        # The client may send when SYN and SYN-ACK are through, the server when it
        # has the ACK as well (RFC 9293, section 3.5).
        self.up = Flow(self, Direction.TO_SERVER, self.opened + 2 * latency)
        self.down = Flow(self, Direction.TO_CLIENT, self.opened + 3 * latency)
        self.up.source, self.up.sink, self.up.back = self.client, self.server, self.down
        self.down.source, self.down.sink = self.server, self.client
        self.down.back = self.up
        self.flows = (self.up, self.down)
        self.record(self.up, Event.OPEN, self.opened, self.opened + 2 * latency)
        if latency:
            self.reactor.call_at(self.opened + latency, self.connect)
        else:
            self.connect()

    # -- opening --------------------------------------------------------------------

    def connect(self) -> None:
        if self.over:
            return
        try:
            code = self.server.connect_ex(address_of(self.link.target))
        except OSError as error:  # the server does not run
            code = error.errno or errno.ECONNREFUSED
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            self.reactor.listen(self.server, WRITE, self.finish_connect)
        elif code:
            self.refuse()
        else:
            self.finish_connect()

    def finish_connect(self) -> None:
        if self.over:
            return
        self.reactor.listen(self.server, 0, self.finish_connect)
        if self.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.refuse()
            return
        self.connected = True
        self.watch()
        if self.link.cut_after_seconds is not None:
            due = self.opened + self.link.cut_after_seconds
            self.reactor.call_at(due, self.cut)

    def refuse(self) -> None:
        """Nobody listens there. The client hears of it when the RST is back."""
        self.down.push(Event.RESET, clock(), clock() + self.link.latency)
        self.down.deliver()

    # -- ending ---------------------------------------------------------------------

    def cut(self) -> None:
        """Break it now, both ways; what is under way is lost."""
        if self.over:
            return
        now = clock()
        for flow in self.flows:
            flow.lose_all()
        self.record(self.down, Event.CUT, now, now)
        self.end(abruptly=True)

    def cut_when_all_arrived(self, waited_for: int = 0, give_up: float = 0.0) -> None:
        """A planned cut comes behind the bytes that crossed before it.

        They may still wait in our sockets for a slow reader, where a reset would
        lose them. A reader that takes nothing at all is not waited for.
        """
        if self.over:
            return
        left = unsent(self.client) + unsent(self.server)
        if left != waited_for:
            give_up = clock() + CUT_PATIENCE
        if left and clock() < give_up:
            again = partial(self.cut_when_all_arrived, left, give_up)
            self.reactor.call_at(clock() + 0.001, again)
        else:
            self.cut()

    def end(self, *, abruptly: bool = False) -> None:
        if self.over:
            return
        self.over = True
        for sock in (self.client, self.server):
            self.reactor.listen(sock, 0, self.end)
            reset(sock) if abruptly else sock.close()
        self.link.pairs.discard(self)

    # -- while it lasts -------------------------------------------------------------

    def watch(self) -> None:
        """Ask the reactor for just what the two flows want of the sockets."""
        for flow in self.flows:
            if self.over or not self.connected:
                return
            events = READ * flow.wants_read() | WRITE * flow.back.blocked
            if events != flow.watched:
                flow.watched = events
                ready = flow.read if events == READ else flow.write_back_then_read
                self.reactor.listen(flow.source, events, ready)

    def wake_up(self) -> None:
        """The link moves again after a stall."""
        for flow in self.flows:
            flow.deliver()
        self.watch()

    def record(
        self,
        flow: Flow,
        event: Event,
        sent: float,
        arrived: float | None,
        data: bytes = b"",
        size: int = 0,
    ) -> None:
        self.link.account()  # what crossed before comes before
        start = self.link.started_at
        arrived = None if arrived is None else arrived - start
        self.link.capture.record(
            Crossing(
                sent - start, arrived, self.number, flow.direction, event, data, size
            )
        )

    def before_cut(self, size: int) -> int | None:
        """How many of the next ``size`` bytes still cross; None: all, and no cut."""
        link, left = self.link, size
        cut_here = link.cut_after is not None and self.crossed + size >= link.cut_after
        if cut_here:
            left = max(0, int(link.cut_after) - self.crossed)
        cut_at_random = link.cuts.before_cut(left)
        if cut_at_random is not None:
            left = cut_at_random
        self.crossed += left
        return left if cut_here or cut_at_random is not None else None


class Item:
    """Something under way: bytes, an end or a reset, due at ``arrival``."""

    __slots__ = ("arrival", "data", "event", "offset", "sent")

    def __init__(
        self, event: Event, sent: float, arrival: float, data: bytes = b""
    ) -> None:
        self.event = event
        self.sent = sent
        self.arrival = arrival
        self.data = data
        self.offset = 0


class Flow:
    """One direction of one connection: a queue of what is under way."""

    source: socket.socket
    sink: socket.socket
    back: Flow

    def __init__(self, pair: Pair, direction: Direction, not_before: float) -> None:
        self.pair = pair
        self.link = pair.link
        self.direction = direction
        self.not_before = not_before
        self.lane = self.link.lanes[direction]
        self.chances = random.Random(f"{self.link.seed}:{pair.number}:{direction}")
        self.queue: deque[Item] = deque()
        self.queued = 0
        self.last_arrival = 0.0
        self.watched = 0
        self.ended = self.blocked = self.delivered_end = self.timed = False

    def wants_read(self) -> bool:
        """Backpressure: who may not deliver does not read either."""
        if self.ended or self.link.stalls:
            return False
        bandwidth, latency = self.link.bandwidth, self.link.latency + self.link.jitter
        if bandwidth is not None:  # twice what fits on the line
            return self.queued < min(IN_FLIGHT, 2 * (bandwidth * latency + PACED_CHUNK))
        return self.queued < IN_FLIGHT if latency else not self.queue

    def read(self) -> None:
        """The source has something: bytes, its end, or its death."""
        link = self.link
        if link.transparent and not self.queue:
            self.pass_on(link.buffer)
        elif self.pair.over or not self.wants_read():
            self.pair.watch()
        else:
            buffer = link.buffer if link.bandwidth is None else link.paced_buffer
            if size := self.receive(buffer[: link.until_stall()]):
                self.hold(buffer, size, self.pair.before_cut(size))
                self.deliver()

    def pass_on(self, buffer: memoryview) -> None:
        """The short way, for a link that adds nothing: first send, then account."""
        size = gone = 0
        try:
            size = self.source.recv_into(buffer)
            if size:
                gone = self.sink.send(buffer[:size])
        except BlockingIOError:
            if not size:
                return
        except OSError:
            self.broke(size)
            return
        if not size:
            self.finish(Event.END)
            return
        self.link.cuts.crossed += size
        self.pair.crossed += size
        if gone:
            self.link.note(self, buffer[:gone], gone)
        if gone < size:
            self.blocked = True
            self.push(Event.DATA, clock(), data=bytes(buffer[gone:size]))
            self.pair.watch()

    def broke(self, size: int) -> None:
        """A reset: by the sink if there was something to send, else by the source."""
        if size:
            self.pair.record(self, Event.DATA, clock(), None, b"", size)
            self.sink_broke()
        else:
            self.back.lose_all()
            self.finish(Event.RESET)

    def receive(self, buffer: memoryview) -> int:
        """Read into ``buffer``; 0 when there is nothing, or nothing more ever."""
        try:
            size = self.source.recv_into(buffer)
        except BlockingIOError:
            return 0
        except OSError:
            self.broke(0)
            return 0
        if not size:
            self.finish(Event.END)
        return size

    def finish(self, event: Event) -> None:
        """The source says no more; its last word queues behind what it said."""
        self.ended = True
        self.push(event, clock())
        self.deliver()

    def hold(self, buffer: memoryview, size: int, crossing: int | None) -> None:
        """Queue what was read until it is due, up to where a cut falls in it."""
        now = max(clock(), self.not_before)
        data = bytes(buffer[: size if crossing is None else crossing])
        if data:
            self.push(Event.DATA, now, data=data)
        if self.link.stall_is_due():
            self.push(Event.STALL, now)
        if crossing is None:
            return
        self.ended = True
        rest = size - crossing
        if rest:
            self.pair.record(self, Event.DATA, now, None, b"", rest)
        self.push(Event.CUT, now)

    def push(
        self,
        event: Event,
        now: float,
        arrival: float | None = None,
        data: bytes = b"",
    ) -> None:
        link = self.link
        sent = max(now, self.not_before)
        if arrival is None:
            arrival = self.lane.arrival(
                sent,
                len(data),
                latency=link.latency,
                bandwidth=link.bandwidth,
            )
            arrival += self.chances.random() * link.jitter
        # TCP delivers in order, so nothing overtakes.
        self.last_arrival = arrival = max(arrival, self.last_arrival)
        self.queue.append(Item(event, sent, arrival, data))
        self.queued += len(data)

    def deliver(self) -> None:
        """Hand over what is due; come again for the rest."""
        while self.queue and not (self.pair.over or self.link.stalls):
            item = self.queue[0]
            if item.arrival > clock():
                self.come_again(item.arrival)
                break
            if not self.hand_over(item):
                break
        self.pair.watch()

    def come_again(self, when: float) -> None:
        if not self.timed:
            self.timed = True
            self.link.reactor.call_at(when, self.on_time)

    def on_time(self) -> None:
        self.timed = False
        self.deliver()

    def hand_over(self, item: Item) -> bool:
        """Deliver one item; False when the sink takes no more for now."""
        if item.event is Event.DATA:
            return self.send(item)
        self.queue.popleft()
        if item.event is Event.CUT:
            self.pair.cut_when_all_arrived()
            return False
        self.pair.record(self, item.event, item.sent, clock())
        if item.event is Event.STALL:
            self.link.stall_as_planned()
            return False
        if item.event is Event.RESET:
            self.back.lose_all()
            self.pair.end(abruptly=True)
            return False
        self.delivered_end = True
        with contextlib.suppress(OSError):
            self.sink.shutdown(socket.SHUT_WR)
        if self.back.delivered_end:
            self.pair.end()
        return True

    def send(self, item: Item) -> bool:
        try:
            item.offset += self.sink.send(memoryview(item.data)[item.offset :])
        except BlockingIOError:
            self.blocked = True
            return False
        except OSError:
            self.sink_broke()
            return False
        self.blocked = item.offset < len(item.data)
        if self.blocked:
            return False
        self.queue.popleft()
        self.queued -= len(item.data)
        size = len(item.data)
        self.pair.record(self, Event.DATA, item.sent, clock(), item.data, size)
        return True

    def write_back_then_read(self) -> None:
        """The source also takes bytes again that the other flow has for it."""
        self.back.blocked = False
        self.back.deliver()
        if not self.pair.over and self.watched & READ:
            self.read()

    def sink_broke(self) -> None:
        """Who should receive is gone: the reset travels back to who sends."""
        self.lose_all()
        self.ended = True
        self.back.read_last_words()
        self.back.ended = True
        self.back.push(Event.RESET, clock())
        self.back.deliver()

    def read_last_words(self) -> None:
        """A server may answer and then reset: the answer arrived, and is readable."""
        buffer = self.link.buffer
        with contextlib.suppress(OSError):
            while not self.ended and (
                size := self.source.recv_into(buffer[: self.link.until_stall()])
            ):
                self.hold(buffer, size, self.pair.before_cut(size))

    def lose_all(self) -> None:
        """What is under way arrives nowhere."""
        for item in self.queue:
            gone, left = item.data[: item.offset], len(item.data) - item.offset
            if gone:
                self.pair.record(
                    self, Event.DATA, item.sent, clock(), gone, item.offset
                )
            if left:
                self.pair.record(self, Event.DATA, item.sent, None, b"", left)
        self.queue.clear()
        self.queued = 0
        self.blocked = False
