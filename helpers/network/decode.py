"""From bytes to messages: what a capture holds, in the words of its protocol.

HTTP/1.1 is read by h11, DNS by dnspython. What does not parse is shown as the
bytes that it is, with a note that says why; nothing here raises on hostile
input.
"""

from __future__ import annotations

import bisect
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

import dns.exception
import dns.message
import dns.rdatatype
import h11

from helpers.network.capture import Capture, Crossing, Direction, Event

__all__ = ["Message", "decode"]

METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")
# What curl sends by itself, and what only makes the line longer.
CURL_KNOWS = {"host", "accept", "accept-encoding", "connection", "user-agent"}
CURL_KNOWS |= {"content-length", "transfer-encoding"}


@dataclass(frozen=True)
class Message:
    """One message as its protocol sees it.

    ``sent`` is when its first byte entered the link, ``arrived`` when its last
    byte left it, in seconds since the link started; None when part of it never
    did. ``raw`` are its exact bytes, ``size`` how many there were on the wire.
    """

    sent: float
    arrived: float | None
    connection: int
    direction: Direction
    protocol: str
    title: str
    raw: bytes = b""
    size: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    note: str = ""
    curl: str | None = None
    complete: bool = True


def decode(
    capture: Capture, *, url: str | None = None, protocol: str | None = None
) -> list[Message]:
    """All messages of a capture, by the time at which they were sent.

    ``protocol`` is "HTTP/1.1", "DNS" or "bytes"; by default it is recognised.
    ``url`` is the address that the curl lines name.
    """
    by_connection: dict[int, list[Crossing]] = {}
    for crossing in capture:
        by_connection.setdefault(crossing.connection, []).append(crossing)
    messages: list[Message] = []
    for crossings in by_connection.values():
        if capture.transport == "udp":
            messages += _datagrams(crossings, protocol)
        else:
            messages += _connection(crossings, protocol, url or "http://server")
    return sorted(messages, key=lambda message: message.sent)


# -- a TCP connection ------------------------------------------------------------------

SIGNS = {
    Event.OPEN: "TCP handshake",
    Event.END: "end (FIN)",
    Event.RESET: "reset (RST)",
    Event.CUT: "cut by the link",
}


def _connection(
    crossings: list[Crossing], protocol: str | None, url: str
) -> Iterator[Message]:
    for crossing in crossings:
        if crossing.event in SIGNS:
            yield _sign(crossing)
    streams = {way: _Stream(crossings, way) for way in Direction}
    first = streams[Direction.TO_SERVER].data
    protocol = protocol or _recognise(first)
    if protocol == "HTTP/1.1":
        yield from _http(streams, url)
    elif protocol == "DNS":
        for stream in streams.values():
            yield from _dns_over_tcp(stream)
    else:
        for stream in streams.values():
            yield from stream.leftover(0, "")


def _sign(crossing: Crossing) -> Message:
    return Message(
        crossing.sent,
        crossing.arrived,
        crossing.connection,
        crossing.direction,
        "TCP",
        SIGNS[crossing.event],
    )


def _recognise(first: bytes) -> str:
    if first.startswith(METHODS):
        return "HTTP/1.1"
    size = int.from_bytes(first[:2], "big")
    if len(first) >= 14 and len(first) >= size + 2 and _dns_or_none(first[2:][:size]):
        return "DNS"
    return "bytes"


class _Stream:
    """One direction's bytes in a row, and when each of them crossed."""

    def __init__(self, crossings: list[Crossing], direction: Direction) -> None:
        self.direction = direction
        self.connection = crossings[0].connection
        mine = [c for c in crossings if c.event is Event.DATA]
        mine = [c for c in mine if c.direction is direction]
        self.lost = sum(c.size for c in mine if c.lost)
        whole: list[Crossing] = []
        for crossing in mine:
            if crossing.lost:
                break
            if len(crossing.data) < crossing.size:  # the capture was full
                break
            whole.append(crossing)
        self.skipped = sum(c.size for c in mine if not c.lost) - sum(
            c.size for c in whole
        )
        self.data = b"".join(c.data for c in whole)
        self._crossings = whole
        self._ends: list[int] = []
        total = 0
        for crossing in whole:
            total += crossing.size
            self._ends.append(total)

    def times(self, start: int, end: int) -> tuple[float, float]:
        """When byte ``start`` was sent, and when the byte before ``end`` arrived."""
        first = self._crossings[self._index(start)]
        last = self._crossings[self._index(max(start, end - 1))]
        return first.sent, last.arrived

    def _index(self, offset: int) -> int:
        return min(bisect.bisect_right(self._ends, offset), len(self._ends) - 1)

    def message(
        self, start: int, end: int, protocol: str, title: str, **more: object
    ) -> Message:
        sent, arrived = self.times(start, end)
        raw = self.data[start:end]
        return Message(
            sent,
            arrived,
            self.connection,
            self.direction,
            protocol,
            title,
            raw,
            **{"size": len(raw)} | more,
        )

    def leftover(self, start: int, note: str) -> Iterator[Message]:
        """What does not parse, as bytes: one message for each crossing."""
        for end in self._ends:
            if end > start:
                title = f"{end - start} bytes"
                yield self.message(start, end, "bytes", title, note=note)
                start = end
        if self.skipped:
            note = f"{self.skipped} bytes more crossed; the capture had no room"
            last = self._crossings[-1] if self._crossings else None
            if last is not None:
                yield replace(
                    self.message(len(self.data), len(self.data), "bytes", "…"),
                    note=note,
                    size=self.skipped,
                )


# -- HTTP/1.1 ------------------------------------------------------------------------


def _http(streams: dict[Direction, _Stream], url: str) -> Iterator[Message]:
    up, down = streams[Direction.TO_SERVER], streams[Direction.TO_CLIENT]
    requests = list(_http_requests(up, url))
    yield from requests
    yield from _http_responses(down, [m.title.split(" ")[0] for m in requests])


def _http_requests(stream: _Stream, url: str) -> Iterator[Message]:
    reader = _Reader(stream, h11.SERVER)
    while reader.more():
        found = reader.next_message()
        if found is None:
            break
        start, end, head, body, complete = found
        title = f"{head.method.decode()} {head.target.decode('latin-1')}"
        message = _http_message(stream, start, end, title, head, body, complete)
        yield replace(message, curl=_curl(head, body, url))
        if not complete or not reader.answer_and_go_on():
            break
    yield from stream.leftover(reader.position, reader.note)


def _http_responses(stream: _Stream, methods: list[str]) -> Iterator[Message]:
    """Questions frame their answers: HEAD has no body (RFC 9112, section 6.3)."""
    position, note = 0, ""
    asked = iter(methods)
    method = next(asked, "GET")
    while position < len(stream.data):
        reader = _Reader(stream, h11.CLIENT, position)
        reader.ask(method)
        found = reader.next_message()
        position, note = reader.position, reader.note
        if found is None:
            break
        start, end, head, body, complete = found
        reason = head.reason.decode("latin-1")
        title = f"{head.status_code} {reason}".strip()
        yield _http_message(stream, start, end, title, head, body, complete)
        if not complete:
            break
        if head.status_code >= 200:  # a 1xx comes before the answer proper
            method = next(asked, "GET")
    yield from stream.leftover(position, note)


def _http_message(
    stream: _Stream,
    start: int,
    end: int,
    title: str,
    head: h11.Request | h11.Response,
    body: bytes,
    complete: bool,
) -> Message:
    headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in head.headers)
    message = stream.message(
        start, end, "HTTP/1.1", title, headers=headers, body=body, complete=complete
    )
    if complete:
        return message
    declared = dict(head.headers).get(b"content-length")
    total = f" of {int(declared):,}" if declared else ""
    lost = stream.lost or not stream.skipped
    what = "cut off" if lost else "the capture ends"
    note = f"{what} after {len(body):,}{total} bytes of the body"
    size = message.size + stream.skipped
    arrived = None if lost else message.arrived
    return replace(message, note=note, arrived=arrived, size=size)


class _Reader:
    """h11, with the position in the stream at which each message starts and ends."""

    def __init__(self, stream: _Stream, role: type, position: int = 0) -> None:
        self._stream = stream
        self._h11 = h11.Connection(role, max_incomplete_event_size=1024 * 1024)
        self._h11.receive_data(stream.data[position:])
        if not (stream.lost or stream.skipped):
            self._h11.receive_data(b"")  # the end, for bodies that last until it
        self.position = position
        self.note = ""

    def more(self) -> bool:
        return self.position < len(self._stream.data)

    def _taken(self) -> int:
        return len(self._stream.data) - len(self._h11.trailing_data[0])

    def next_message(self) -> tuple | None:
        """Start, end, head, body and whether it is whole; None with a note if none."""
        start = self.position
        head, body, complete = None, bytearray(), False
        try:
            while not complete:
                event = self._h11.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    break
                if isinstance(event, h11.Request | h11.Response):
                    head = event
                elif isinstance(event, h11.InformationalResponse):
                    head, complete = event, True
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    complete = True
                else:
                    break  # ConnectionClosed
        except h11.RemoteProtocolError as error:
            if head is None:
                self.note = f"this does not parse as HTTP/1.1: {error}"
        if head is None:
            self.note = self.note or "an unfinished message"
            return None
        self.position = self._taken() if complete else len(self._stream.data)
        return start, self.position, head, bytes(body), complete

    def ask(self, method: str) -> None:
        """Before it reads an answer, h11 wants to know the question."""
        request = h11.Request(method=method, target="/", headers=[("host", "server")])
        self._h11.send(request)
        self._h11.send(h11.EndOfMessage())

    def answer_and_go_on(self) -> bool:
        """Pretend that the request was answered, so that h11 reads the next."""
        try:
            if self._h11.our_state is h11.SEND_RESPONSE:
                self._h11.send(
                    h11.Response(status_code=200, headers=[("content-length", "0")])
                )
                self._h11.send(h11.EndOfMessage())
            self._h11.start_next_cycle()
        except h11.LocalProtocolError:
            return False  # an upgrade, or the client said close
        return True


def _curl(head: h11.Request, body: bytes, url: str) -> str:
    """The command line that sends the same request."""
    method = head.method.decode()
    parts = ["curl", "-i"]
    if method == "HEAD":
        parts = ["curl", "-I"]
    elif method != ("POST" if body else "GET"):
        parts += ["-X", method]
    for name, value in head.headers:
        if name.decode("latin-1") not in CURL_KNOWS:
            parts += ["-H", f"{name.decode('latin-1')}: {value.decode('latin-1')}"]
    if body:
        text = body.decode("ascii", "replace")
        short = len(body) <= 200 and text.isprintable()
        parts += ["--data-binary", text if short else "@FILE"]
    return shlex.join([*parts, url + head.target.decode("latin-1")])


# -- DNS -----------------------------------------------------------------------------


def _datagrams(crossings: list[Crossing], protocol: str | None) -> Iterator[Message]:
    for crossing in crossings:
        if crossing.event is not Event.DATA:
            continue
        found = _dns_or_none(crossing.data) if protocol in (None, "DNS") else None
        bare = Message(
            crossing.sent,
            crossing.arrived,
            crossing.connection,
            crossing.direction,
            "bytes",
            f"{crossing.size} bytes",
            crossing.data,
            crossing.size,
            note="lost on the way" if crossing.lost else "",
        )
        yield _as_dns(bare, found) if found else bare


def _dns_over_tcp(stream: _Stream) -> Iterator[Message]:
    """Each message has its length before it, in two bytes (RFC 1035, section 4.2.2)."""
    position = 0
    while True:
        end = position + 2 + int.from_bytes(stream.data[position : position + 2], "big")
        found = _dns_or_none(stream.data[position + 2 : end])
        if found is None or end > len(stream.data):
            break
        yield _as_dns(stream.message(position, end, "DNS", ""), found)
        position = end
    yield from stream.leftover(position, "this does not parse as DNS over TCP")


def _dns_or_none(data: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(data)
    except (dns.exception.DNSException, ValueError, IndexError, AssertionError):
        return None


def _as_dns(message: Message, found: dns.message.Message) -> Message:
    asked = " ".join(
        f"{dns.rdatatype.to_text(question.rdtype)}? {question.name}"
        for question in found.question
    )
    if not found.flags & dns.flags.QR:
        name = found.question[0].name if found.question else "."
        kind = dns.rdatatype.to_text(found.question[0].rdtype) if asked else "A"
        tcp = "" if message.protocol == "bytes" else " +tcp"
        curl = f"dig @SERVER -p PORT{tcp} {name} {kind}"
        return replace(message, protocol="DNS", title=asked or "no question", curl=curl)
    title = dns.rcode.to_text(found.rcode())
    if found.rcode() == dns.rcode.NOERROR:
        count = sum(len(rrset) for rrset in found.answer)
        title = f"{count} answer{'s' * (count != 1)}" if count else "no data"
        if count == 1:
            title = str(found.answer[0][0])
    if found.flags & dns.flags.TC:
        title = "truncated (TC): ask again over TCP"
    headers = tuple(("answer", str(rrset)) for rrset in found.answer)
    return replace(message, protocol="DNS", title=title, headers=headers)
