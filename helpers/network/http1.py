"""HTTP/1.1 in a capture, read by h11 (RFC 9112)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import h11

from helpers.network.capture import Direction
from helpers.network.curl import curl_line
from helpers.network.message import Message
from helpers.network.stream import Stream

__all__ = ["decode_http"]

LONGEST_HEAD = 1024 * 1024
PIECE = 64 * 1024


def decode_http(streams: dict[Direction, Stream], url: str | None) -> Iterator[Message]:
    up, down = streams[Direction.TO_SERVER], streams[Direction.TO_CLIENT]
    requests = list(_http_requests(up, url))
    yield from requests
    asked = [message for message in requests if message.protocol == "HTTP/1.1"]
    yield from _http_responses(down, asked)


def _http_requests(stream: Stream, url: str | None) -> Iterator[Message]:
    reader = _Reader(stream, h11.SERVER)
    told, upgrade = False, None
    while reader.more():
        found = reader.next_message()
        if found is None:
            break
        message = _http_message(stream, found, f"{found.method} {found.target}")
        yield replace(message, curl=curl_line(found.head, found.body, url))
        upgrade, told = found.header(b"upgrade"), _tells_of_lost(stream, found)
        if not found.complete or not reader.answer_and_go_on():
            break
    note = f"after an upgrade to {upgrade}" if upgrade else reader.note
    yield from stream.leftover(reader.position, note)
    if not told:
        yield from stream.unseen()


def _http_responses(stream: Stream, requests: list[Message]) -> Iterator[Message]:
    """Questions frame their answers: HEAD has no body (RFC 9112, section 6.3)."""
    position, note, told = 0, "", False
    asked = iter(requests)
    request = next(asked, None)
    while position < len(stream.data):
        reader = _Reader(stream, h11.CLIENT, position)
        reader.ask(request)
        found = reader.next_message()
        position, note = reader.position, reader.note
        if found is None:
            break
        yield _http_message(stream, found, found.status)
        told = _tells_of_lost(stream, found)
        if not found.complete:
            break
        if found.head.status_code == 101:  # RFC 9110, section 7.8
            note = f"after an upgrade to {found.header(b'upgrade')}"
            break
        if found.head.status_code >= 200:  # a 1xx comes before the answer proper
            request = next(asked, None)
    yield from stream.leftover(position, note)
    if not told:
        yield from stream.unseen()


def _tells_of_lost(stream: Stream, found: _Found) -> bool:
    """What was lost right behind the known part of a message belongs to it."""
    return bool(stream.lost) and not (found.complete or stream.skipped)


def _http_message(stream: Stream, found: _Found, title: str) -> Message:
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in found.head.headers
    )
    message = stream.message(
        found.start,
        found.end,
        "HTTP/1.1",
        title,
        headers=headers,
        body=found.body,
        complete=found.complete,
    )
    if found.complete:
        return message
    note = found.note or _what_is_missing(stream, found)
    if _tells_of_lost(stream, found):
        size = message.size + stream.lost
        return replace(message, note=note, arrived=None, size=size)
    return replace(message, note=note)


def _what_is_missing(stream: Stream, found: _Found) -> str:
    what = "still under way:"
    if stream.skipped:
        what = "the capture ends"
    elif stream.lost or stream.ended or stream.broken:
        what = "cut off"
    declared = found.header(b"content-length")
    total = f" of {int(declared):,}" if declared else ""
    return f"{what} after {len(found.body):,}{total} bytes of the body"


@dataclass
class _Found:
    """A message that h11 saw, whole or not, and where it lies in its stream."""

    start: int
    end: int
    head: h11.Request | h11.Response | h11.InformationalResponse
    body: bytes
    complete: bool
    note: str

    @property
    def method(self) -> str:
        return self.head.method.decode()

    @property
    def target(self) -> str:
        return self.head.target.decode("latin-1")

    @property
    def status(self) -> str:
        reason = self.head.reason.decode("latin-1")
        return f"{self.head.status_code} {reason}".strip()

    def header(self, name: bytes) -> str | None:
        value = dict(self.head.headers).get(name)
        return None if value is None else value.decode("latin-1")


class _Reader:
    """h11, with the position in the stream at which each message starts and ends."""

    def __init__(self, stream: Stream, role: type, position: int = 0) -> None:
        self._stream = stream
        self._h11 = h11.Connection(role, max_incomplete_event_size=LONGEST_HEAD)
        self._fed = self.position = position
        self._at_end = False
        self.note = ""

    def more(self) -> bool:
        return self.position < len(self._stream.data)

    def _feed(self) -> bool:
        """Give h11 the next piece; False when there is none.

        Piece by piece, for h11 copies what it did not use yet at each message.
        """
        piece = self._stream.data[self._fed : self._fed + PIECE]
        if piece:
            self._h11.receive_data(piece)
            self._fed += len(piece)
        elif self._stream.ended and not self._at_end:
            self._at_end = True
            self._h11.receive_data(b"")  # for bodies that last until the end
        else:
            return False
        return True

    def next_message(self) -> _Found | None:
        """The next message; None when there is none, and ``note`` says why."""
        head, body, complete, trouble = None, bytearray(), False, ""
        try:
            while not complete:
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    if not self._feed():
                        break
                elif isinstance(event, h11.Request | h11.Response):
                    head = event
                elif isinstance(event, h11.InformationalResponse):
                    head, complete = event, True
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    complete = True
                else:
                    break  # ConnectionClosed, PAUSED
        except h11.RemoteProtocolError as error:
            if not self._at_end:  # else it only misses the rest
                trouble = f"this does not parse as HTTP/1.1: {error}"
        if head is None:
            self.note = trouble or "an unfinished message"
            return None
        start, self.position = self.position, len(self._stream.data)
        if complete:
            self.position = self._fed - len(self._h11.trailing_data[0])
        return _Found(start, self.position, head, bytes(body), complete, trouble)

    def ask(self, request: Message | None) -> None:
        """Before it reads an answer, h11 wants to know the question."""
        method = request.title.split(" ")[0] if request else "GET"
        headers = [("host", "server")]
        for name, value in request.headers if request else ():
            if name == "upgrade":
                headers += [(name, value), ("connection", "upgrade")]
        self._h11.send(h11.Request(method=method, target="/", headers=headers))
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
            self.note = "after the last request: its client said close"
            return False
        return True
