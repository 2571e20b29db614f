"""The server's side of a WebSocket (RFC 6455) without sockets: bytes in, bytes out.

It is the whole of the protocol but for extensions, and small enough to read. The two
servers that stand on it (lean.py, lean_epoll.py) differ in what they keep for a
connection. A :class:`Conversation` is what a client began and did not end yet: a
handshake, a frame, a message in fragments, a good-bye. An idle connection has begun
nothing, so that it needs none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from time import monotonic
from typing import NamedTuple

from helpers.servers.lean_handshake import FULL, Refused, answer_handshake

__all__ = ["CloseCode", "Conversation", "Opcode", "close_frame", "frame"]

MAX_HEAD = 16 * 1024  # bytes of a handshake; a browser sends its cookies along
MAX_MESSAGE = 4096  # bytes; a few thousand clients may be half-way through one
MAX_CONTROL = 125  # bytes of a control frame (section 5.5)


class Opcode(IntEnum):
    """RFC 6455, section 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """RFC 6455, section 7.4.1: those that this server says itself."""

    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_DATA = 1007
    MESSAGE_TOO_BIG = 1009


class Failed(Exception):
    """What came breaks the protocol or a bound (section 7.1.7)."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def frame(opcode: Opcode, payload: bytes = b"") -> bytes:
    """A whole, unmasked frame, as a server sends it. Made once, it serves a crowd."""
    first, size = 0x80 | opcode, len(payload)  # 0x80: FIN, no fragment follows
    if size < 126:
        head = struct.pack("!BB", first, size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 126, size)
    else:
        head = struct.pack("!BBQ", first, 127, size)
    return head + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; the reason has at most 123 bytes of UTF-8."""
    return frame(Opcode.CLOSE, struct.pack("!H", code) + reason.encode())


def unmask(payload: bytes, mask: bytes) -> bytes:
    """XOR with the mask, over and over (section 5.3), as one long number each."""
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")
    return number.to_bytes(size, "big")


class Conversation:
    """What one client began and did not end: ``reply = conversation.receive(data)``.

    opened      whether the handshake is done
    over        the last bytes were said; what still comes is thrown away
    unfinished  whether there is something to remember until more comes
    since       when it was begun, by ``time.monotonic()``

    It holds at most a message, a frame of one, and what one read brought. Who is not
    ``welcome`` is told so when its handshake is there, and no sooner: to close on what
    was not read yet would reset the connection, and the answer might be lost.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_message",
        "_opcode",
        "_welcome",
        "opened",
        "over",
        "since",
    )

    def __init__(self, *, opened: bool = False, welcome: bool = True) -> None:
        self.opened = opened
        self.over = False
        self.since = monotonic()
        self._welcome = welcome
        self._buffer = b""
        self._at = 0  # so much of the buffer is done with
        self._message = b""  # the fragments so far
        self._opcode: Opcode | None = None  # theirs; None: no message is under way

    @property
    def unfinished(self) -> bool:
        begun = self._buffer or self._opcode is not None
        return bool(begun or self.over or not self.opened)

    def receive(self, data: bytes) -> bytes:
        """What to answer to what came: echoes, pongs, a close frame, a refusal."""
        if self.over:
            return b""
        self._buffer += data
        replies: list[bytes] = []
        try:
            for reply in self._replies():
                replies.append(reply)  # one by one: those before a failure count
        except Refused as refused:
            replies.append(refused.response)
            self._end()
        except Failed as failed:
            replies.append(close_frame(failed.code, str(failed)))
            self._end()
        self._buffer, self._at = self._buffer[self._at :], 0
        return b"".join(replies)

    def _end(self) -> None:
        self.over = True
        self.since = monotonic()
        self._buffer = self._message = b""

    def _replies(self) -> Iterator[bytes]:
        if not self.opened:
            yield self._open()
        while self.opened and (whole := self._next()) is not None:
            self.since = monotonic()
            opcode, payload = whole
            if opcode is Opcode.CLOSE:
                yield _answer_to_close(payload)
                self._end()
                return
            if opcode is Opcode.PING:
                yield frame(Opcode.PONG, payload)
            elif opcode is not Opcode.PONG:
                yield frame(opcode, payload)

    def _open(self) -> bytes:
        end = self._buffer.find(b"\r\n\r\n")
        if max(end, len(self._buffer) if end < 0 else 0) > MAX_HEAD:
            raise Refused(431, f"A handshake has at most {MAX_HEAD} bytes.")
        if end < 0:
            return b""
        answer = answer_handshake(self._buffer[:end])
        if not self._welcome:
            self._end()
            return FULL
        self.opened, self._at, self.since = True, end + 4, monotonic()
        return answer

    def _next(self) -> tuple[Opcode, bytes] | None:
        """The next control frame or whole message; None when more has to come."""
        while (found := self._next_frame()) is not None:
            if found.opcode >= Opcode.CLOSE:
                return found.opcode, found.payload
            self._add(found)
            if found.final:
                return self._whole_message()
        return None

    def _next_frame(self) -> Frame | None:
        room = MAX_MESSAGE - len(self._message)
        found = read_frame(self._buffer, self._at, room)
        if found is not None:
            self._at = found.end
        return found

    def _add(self, fragment: Frame) -> None:
        """A message in one piece is its own only fragment (section 5.4)."""
        follows = fragment.opcode is Opcode.CONTINUATION
        if follows != (self._opcode is not None):
            raise Failed(CloseCode.PROTOCOL_ERROR, "a fragment out of its order")
        if not follows:
            self._opcode = fragment.opcode
        self._message += fragment.payload

    def _whole_message(self) -> tuple[Opcode, bytes]:
        opcode, message = self._opcode, self._message
        self._opcode, self._message = None, b""
        if opcode is Opcode.TEXT:
            _check_text(message)
        return opcode, message


class Frame(NamedTuple):
    """A client's frame, unmasked, and where the next one begins."""

    final: bool
    opcode: Opcode
    payload: bytes
    end: int


def read_frame(data: bytes, start: int, room: int) -> Frame | None:
    """The frame that begins at ``start``; None when not all of it is there.

    Raises Failed for what a client may not send, and for data of more than ``room``
    bytes: as soon as the length is there, before the payload is.
    """
    if len(data) < start + 2:
        return None
    first, second = data[start], data[start + 1]
    opcode = _check_start(first, second)
    size, mask = second & 0x7F, start + 2
    if size >= 126:
        mask, layout = (start + 4, "!H") if size == 126 else (start + 10, "!Q")
        if len(data) < mask:
            return None
        (size,) = struct.unpack_from(layout, data, start + 2)
    if opcode < Opcode.CLOSE and size > room:
        raise Failed(CloseCode.MESSAGE_TOO_BIG, f"more than {MAX_MESSAGE} bytes")
    payload = mask + 4
    end = payload + size
    if len(data) < end:
        return None
    plain = unmask(data[payload:end], data[mask:payload])
    return Frame(first >= 0x80, opcode, plain, end)


def _check_start(first: int, second: int) -> Opcode:
    """The opcode, when the first two bytes are those of a legal client's frame."""
    try:
        opcode = Opcode(first & 0x0F)
    except ValueError:
        raise Failed(CloseCode.PROTOCOL_ERROR, "an unknown opcode") from None
    if first & 0x70:
        raise Failed(CloseCode.PROTOCOL_ERROR, "a reserved bit is set")
    if second < 0x80:
        raise Failed(CloseCode.PROTOCOL_ERROR, "a client masks its frames")
    if opcode >= Opcode.CLOSE and (first < 0x80 or second & 0x7F > MAX_CONTROL):
        raise Failed(CloseCode.PROTOCOL_ERROR, "a control frame is short and whole")
    return opcode


def _check_text(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise Failed(CloseCode.INVALID_DATA, "text is UTF-8") from None


def _answer_to_close(payload: bytes) -> bytes:
    """The same code back (section 5.5.1); what is no code breaks the protocol."""
    if not payload:
        return frame(Opcode.CLOSE)
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not _is_close_code(code):
        raise Failed(CloseCode.PROTOCOL_ERROR, "a close frame without a close code")
    _check_text(payload[2:])
    return close_frame(code)


def _is_close_code(code: int) -> bool:
    """Section 7.4; 1004 to 1006 stand for what never crosses the wire."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
