"""WebSocket frames in a capture, read by the websockets library (RFC 6455).

An endpoint gives up at the first fault. A capture shows what crossed all the same:
where a frame ends is known, though it breaks a rule.
"""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from websockets.exceptions import InvalidHeader, PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CTRL_OPCODES, Close, Frame, Opcode
from websockets.headers import parse_extension

from helpers.network.capture import Direction
from helpers.network.message import Message
from helpers.network.part import PREVIEW
from helpers.network.stream import Stream

__all__ = ["decode_frames", "deflates"]

# In each direction of a connection: a few kB may inflate to a thousand times as much.
INFLATED_BYTES = 16 * 1024 * 1024
SHOWN_BYTES = 8  # of a payload that is no text, in a title
EXTENDED = {126: 2, 127: 8}  # lengths that stand for "see the next 2 or 8 bytes"


def deflates(extensions: str) -> dict[Direction, bool] | None:
    """What the server's ``Sec-WebSocket-Extensions`` says of permessage-deflate.

    For each direction: whether every message is compressed for itself ("no context
    takeover", RFC 7692, section 7.1.1). None when nothing is compressed.
    """
    try:
        agreed = dict(parse_extension(extensions))
    except InvalidHeader:
        return None
    if "permessage-deflate" not in agreed:
        return None
    names = {name for name, _ in agreed["permessage-deflate"]}
    return {
        Direction.TO_SERVER: "client_no_context_takeover" in names,
        Direction.TO_CLIENT: "server_no_context_takeover" in names,
    }


def decode_frames(
    stream: Stream, position: int, *, inflate: dict[Direction, bool] | None
) -> Iterator[Message]:
    """Each frame from ``position`` on; ``inflate`` is what :func:`deflates` found."""
    frames = _Frames(stream, position, inflate)
    found = list(frames)
    yield from stream.with_the_rest(found, frames.position, frames.note)


class _Unchecked(Frame):
    """A frame as it crossed, whatever rule it breaks."""

    def check(self) -> None:
        """:meth:`_Frames._payload` does, and shows it all the same."""


@dataclass(frozen=True)
class _Header:
    """What a frame says before its payload (RFC 6455, section 5.2)."""

    size: int
    length: int
    masked: bool

    @classmethod
    def at(cls, data: bytes, start: int) -> _Header | None:
        """None while it is not all there."""
        if len(data) < start + 2:
            return None
        masked, length = divmod(data[start + 1], 128)
        more = EXTENDED.get(length, 0)
        size = 2 + more + (4 if masked else 0)
        if len(data) < start + size:
            return None
        if more:
            length = int.from_bytes(data[start + 2 : start + 2 + more], "big")
        return cls(size, length, bool(masked))


class _Frames:
    """The frames of one direction, one after the other.

    ``position`` is where they end, and ``note`` why nothing behind it is one.
    """

    def __init__(
        self, stream: Stream, position: int, inflate: dict[Direction, bool] | None
    ) -> None:
        self._stream = stream
        self.position = position
        self.note = ""
        self._faults: list[str] = []  # of the frame at hand
        self._inflate = None
        if inflate is not None:
            # The widest window reads also what narrower ones wrote.
            self._inflate = PerMessageDeflate(inflate[stream.direction], True, 15, 15)
        self._context_lost = False
        self._room = INFLATED_BYTES
        self._under_way = self._is_text = False  # a message, and of which kind
        self._fragments = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._closed = False

    def __iter__(self) -> Iterator[Message]:
        data = self._stream.data
        while self.position < len(data):
            start, header = self.position, _Header.at(data, self.position)
            if header is None:
                self.note = "an unfinished frame"
                return
            frame = self._read(header.masked)
            if frame is None:
                self.position = start
                return
            yield self._message(start, header, frame)

    def _read(self, masked: bool) -> Frame | None:
        """The next frame, unmasked; at the end of the stream perhaps a part of it."""
        try:
            next(_Unchecked.parse(self._read_exact, mask=masked))
        except StopIteration as parsed:
            return parsed.value
        except ProtocolError as error:
            self.note = f"this does not parse as WebSocket: {error}"
        return None

    def _read_exact(self, size: int) -> Generator[None, None, bytes]:
        """What the library reads by: as much as there is, and never a wait for more."""
        yield from ()
        data = self._stream.data[self.position : self.position + size]
        self.position += len(data)
        return data

    # -- one frame -----------------------------------------------------------------

    def _message(self, start: int, header: _Header, frame: Frame) -> Message:
        self._faults = []
        complete = len(frame.data) == header.length
        if not complete:
            frame = replace(frame, fin=False)  # so that nothing takes it for the end
        self._check_mask(header.masked)
        payload = self._payload(frame, complete)
        title, note = self._title(frame, payload, complete)
        message = self._stream.message(
            start,
            self.position,
            "WebSocket",
            title,
            kind=frame.opcode.name,
            headers=self._fields(start, header, frame, payload),
            body=payload,
            note="; ".join(filter(None, [*self._faults, note])),
        )
        if complete:
            return message
        came, of = f"{len(frame.data):,}", f"{header.length:,} bytes of the payload"
        what = f"{self._stream.why_unfinished} after {came} of {of}"
        return self._stream.unfinished(message, "; ".join([what, *self._faults]))

    def _check_mask(self, masked: bool) -> None:
        """RFC 6455, section 5.1."""
        if self._stream.direction is Direction.TO_SERVER and not masked:
            self._faults.append("not masked, as a client must")
        if self._stream.direction is Direction.TO_CLIENT and masked:
            self._faults.append("masked, as a server must not")
        if self._closed:
            self._faults.append("after CLOSE nothing is read any more")

    def _payload(self, frame: Frame, complete: bool) -> bytes:
        """Inflated where it was compressed, and as it crossed where it cannot be."""
        opened = self._inflated(frame)
        try:
            if complete:
                Frame.check(opened)
        except ProtocolError as error:
            self._faults.append(f"against RFC 6455: {error}")
        return bytes(opened.data)

    def _inflated(self, frame: Frame) -> Frame:
        """RFC 7692, section 7.2.2."""
        if self._inflate is None:
            return frame
        plain = replace(frame, rsv1=False)
        if self._context_lost:
            if frame.rsv1:
                self._faults.append("to inflate it takes an earlier message")
            return plain
        try:
            opened = self._inflate.decode(frame, max_size=max(self._room, 1))
        except PayloadTooBig:
            self._faults.append(f"inflates beyond {self._room:,} bytes")
        except ProtocolError as error:
            self._faults.append(f"against RFC 7692: {error}")
        except AttributeError:  # it let go of the message that this would continue
            self._faults.append("against RFC 7692: no message to continue")
        else:
            if opened is not frame:
                self._room -= len(opened.data)
            return opened
        self._context_lost = not self._inflate.remote_no_context_takeover
        return plain

    def _fields(
        self, start: int, header: _Header, frame: Frame, payload: bytes
    ) -> tuple[tuple[str, str], ...]:
        """What the header says, in the order in which it says it."""
        data, end = self._stream.data, start + header.size
        fields = [("FIN", str(data[start] >> 7)), ("RSV1", str(int(frame.rsv1)))]
        fields.append(("opcode", f"0x{frame.opcode:x} {frame.opcode.name}"))
        fields.append(("MASK", str(int(header.masked))))
        fields.append(("payload length", f"{header.length:,}"))
        if header.masked:
            fields.append(("masking key", data[end - 4 : end].hex(" ")))
        if len(payload) != len(frame.data):
            fields.append(("inflated", f"{len(payload):,} bytes"))
        return tuple(fields)

    # -- what it says ----------------------------------------------------------------

    def _title(self, frame: Frame, payload: bytes, complete: bool) -> tuple[str, str]:
        """In a few words, and a note on its place among the fragments."""
        name = frame.opcode.name
        if frame.opcode is Opcode.CLOSE:
            self._closed = complete
            return (self._close(payload) if complete else name), ""
        if frame.opcode in CTRL_OPCODES:
            return f"{name} {_short(payload)}".rstrip(), ""
        note = self._fragment(frame)
        shown = self._text(payload, frame.fin) or _short(payload)
        more = ", FIN 0" if complete and not frame.fin else ""
        return f"{name} {shown}{more}".rstrip(), note

    def _fragment(self, frame: Frame) -> str:
        """Keep account of fragments (RFC 6455, section 5.4)."""
        if frame.opcode is not Opcode.CONT:
            if self._under_way:
                self._faults.append("the message before it is not finished")
            self._is_text, self._fragments = frame.opcode is Opcode.TEXT, 0
            self._utf8.reset()
        elif not self._under_way:
            self._faults.append("no message to continue")
            self._is_text, self._fragments = False, 0
        self._fragments += 1
        self._under_way = not frame.fin
        if self._under_way:
            return "the first fragment" if self._fragments == 1 else "one more fragment"
        return f"the last of {self._fragments} fragments" if self._fragments > 1 else ""

    def _text(self, payload: bytes, final: bool) -> str:
        """The text of a frame, if it is of a text; a character may end in the next."""
        if not self._is_text:
            return ""
        try:
            text = self._utf8.decode(payload, final)
        except UnicodeDecodeError as error:
            self._utf8.reset()
            self._faults.append(f"no valid UTF-8: {error.reason}")
            text = payload.decode("utf-8", "replace")
        return repr(text[:PREVIEW]) + ("…" if len(text) > PREVIEW else "")

    def _close(self, payload: bytes) -> str:
        """Code and reason (RFC 6455, section 5.5.1)."""
        if not payload:
            return "CLOSE without a code"
        try:
            close = Close.parse(payload)
        except (ProtocolError, UnicodeDecodeError) as error:
            self._faults.append(f"against RFC 6455: {error}")
            return f"CLOSE {_short(payload)}"
        return f"CLOSE {close.code} {close.reason}".rstrip()


def _short(payload: bytes) -> str:
    """The first bytes of what is no text."""
    more = "…" if len(payload) > SHOWN_BYTES else ""
    return payload[:SHOWN_BYTES].hex(" ") + more
