"""h11 as a reader of what was said, and where in its stream each message lies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import h11

from helpers.network.stream import Stream
from helpers.network.streamed_body import Piece, Splitter, splitter_for

__all__ = ["Found", "Reader"]

LONGEST_HEAD = 1024 * 1024
PIECE = 64 * 1024


@dataclass
class Found:
    """A message that h11 saw, whole or not, and where it lies in its stream."""

    start: int
    end: int
    head: h11.Request | h11.Response | h11.InformationalResponse
    pieces: list[Piece]  # where its body lies
    complete: bool
    note: str
    head_end: int
    answers: int = 0  # the number of its request, when it is an answer

    @cached_property
    def body(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self.head.headers
        )

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

    @property
    def upgrade(self) -> str:
        """The protocol that is spoken behind it (RFC 9110, section 15.2.2)."""
        if getattr(self.head, "status_code", None) != 101:
            return ""
        return self.header(b"upgrade") or "an unnamed protocol"

    @property
    def splitter(self) -> tuple[str, Splitter] | None:
        """How its body comes in parts, if it is one that lasts."""
        if self.header(b"content-encoding") not in (None, "identity"):
            return None  # compressed: its parts are not to be seen
        return splitter_for(self.header(b"content-type") or "")


class Reader:
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

    def next_message(self) -> Found | None:
        """The next message; None when there is none, and ``note`` says why."""
        head, pieces, complete, trouble = None, [], False, ""
        head_end = 0
        try:
            while not complete:
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    if not self._feed():
                        break
                elif isinstance(event, h11.Request | h11.Response):
                    head, head_end = event, self._read_to
                elif isinstance(event, h11.InformationalResponse):
                    head, head_end, complete = event, self._read_to, True
                elif isinstance(event, h11.Data):
                    pieces.append(self._piece(event))
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
            self.position = self._read_to
        return Found(start, self.position, head, pieces, complete, trouble, head_end)

    @property
    def _read_to(self) -> int:
        """Where in the stream h11 stands: behind what it used so far."""
        return self._fed - len(self._h11.trailing_data[0])

    def _piece(self, event: h11.Data) -> Piece:
        """h11 passes on a piece of a body as soon as it used its last byte."""
        data = bytes(event.data)
        return Piece(self._read_to - len(data), data, event.chunk_end)

    def ask(self, request: Found | None) -> None:
        """Before it reads an answer, h11 wants to know the question."""
        method = request.method if request else "GET"
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
