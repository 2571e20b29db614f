"""HTTP/1.1 in a capture, read by h11 (RFC 9112)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import h11

from helpers.network.capture import Direction
from helpers.network.curl import curl_line
from helpers.network.http1_reader import Found, Reader
from helpers.network.message import Message
from helpers.network.stream import Stream
from helpers.network.streamed_body import in_parts
from helpers.network.websocket import decode_frames, deflates

__all__ = ["decode_http"]


def decode_http(streams: dict[Direction, Stream], url: str | None) -> Iterator[Message]:
    """The messages of both directions; what follows a 101 are WebSocket frames.

    The answers are read before the requests are told: they say whether a client's
    bytes were still HTTP, and which request curl must not buffer.
    """
    up, down = streams[Direction.TO_SERVER], streams[Direction.TO_CLIENT]
    asked = _read_requests(up)
    answered = _read_responses(down, asked.found)
    switch = answered.switch
    if switch is not None:
        del asked.found[switch.answers + 1 :]
    lasting = {found.answers for found in answered.found if found.splitter}
    requests = [
        _request(up, found, url, lasting=number in lasting)
        for number, found in enumerate(asked.found)
    ]
    responses = [message for found in answered.found for message in _told(down, found)]
    if switch is None:
        yield from up.with_the_rest(requests, asked.position, asked.note)
        yield from down.with_the_rest(responses, answered.position, answered.note)
        return
    yield from requests
    yield from responses
    end_of_asking = asked.found[switch.answers].end
    compressed = deflates(switch.header(b"sec-websocket-extensions") or "")
    yield from decode_frames(up, end_of_asking, inflate=compressed)
    yield from decode_frames(down, switch.end, inflate=compressed)


@dataclass
class _Read:
    """What one direction holds: messages, and why the reading ended where it did."""

    found: list[Found] = field(default_factory=list)
    position: int = 0
    note: str = ""

    @property
    def switch(self) -> Found | None:
        """The answer behind which WebSocket is spoken (RFC 6455, section 4.2.2)."""
        last = self.found[-1] if self.found else None
        return last if last and last.upgrade.lower() == "websocket" else None


def _read_requests(stream: Stream) -> _Read:
    read, reader, upgrade = _Read(), Reader(stream, h11.SERVER), None
    while reader.more():
        found = reader.next_message()
        if found is None:
            break
        read.found.append(found)
        upgrade = found.header(b"upgrade")
        if not found.complete or not reader.answer_and_go_on():
            break
    read.position = reader.position
    read.note = f"after an upgrade to {upgrade}" if upgrade else reader.note
    return read


def _read_responses(stream: Stream, requests: list[Found]) -> _Read:
    """Questions frame their answers: HEAD has no body (RFC 9112, section 6.3)."""
    read, number = _Read(), 0
    while read.position < len(stream.data):
        reader = Reader(stream, h11.CLIENT, read.position)
        reader.ask(requests[number] if number < len(requests) else None)
        found = reader.next_message()
        read.position, read.note = reader.position, reader.note
        if found is None:
            break
        found.answers = number
        read.found.append(found)
        if not found.complete:
            break
        if found.upgrade:
            read.note = f"after an upgrade to {found.upgrade}"
            break
        if found.head.status_code >= 200:  # a 1xx comes before the answer proper
            number += 1
    return read


def _request(
    stream: Stream, found: Found, url: str | None, *, lasting: bool
) -> Message:
    curl = curl_line(found.head, found.body, url, lasting=lasting)
    return _whole(stream, found, f"{found.method} {found.target}", curl=curl)


def _told(stream: Stream, found: Found) -> Iterator[Message]:
    """An answer as one message; one that lasts, as its head and then each part."""
    if found.splitter is None:
        yield _whole(stream, found, found.status)
        return
    protocol, split = found.splitter
    end, headers = found.head_end, found.headers
    yield stream.message(found.start, end, "HTTP/1.1", found.status, headers=headers)
    yield from in_parts(
        stream,
        found.pieces,
        split(found.body, found.complete),
        start=end,
        end=found.end if found.complete else None,
        protocol=protocol,
        trouble=found.note,
    )


def _whole(
    stream: Stream, found: Found, title: str, curl: str | None = None
) -> Message:
    message = stream.message(
        found.start,
        found.end,
        "HTTP/1.1",
        title,
        headers=found.headers,
        body=found.body,
        curl=curl,
    )
    if found.complete:
        return message
    return stream.unfinished(message, found.note or _what_is_missing(stream, found))


def _what_is_missing(stream: Stream, found: Found) -> str:
    declared = found.header(b"content-length")
    total = f" of {int(declared):,}" if declared else ""
    what = stream.why_unfinished
    return f"{what} after {len(found.body):,}{total} bytes of the body"
