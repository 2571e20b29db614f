"""One way to solve lab 3a: a parser that knows no sockets, and a loop around it."""

import asyncio
import codecs
import re

import httpx

# -- part 1 ---------------------------------------------------------------------------

LINE_END = re.compile("\r\n|\r|\n")
DIGITS = re.compile("[0-9]{1,9}")  # milliseconds; more would be weeks


class EventStream:
    """What an EventSource makes of bytes (WHATWG HTML, section 9.2.6)."""

    def __init__(self, last_event_id=""):
        self.last_event_id = last_event_id
        self.retry = None  # seconds
        # Drops a BOM, and keeps the bytes of a character until all have come.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line = ""  # has begun, and not ended
        self._after_cr = False
        self._id, self._type, self._data = last_event_id, "", []

    def feed(self, chunk):
        """The events that this chunk completes: a list of (type, data, id)."""
        events = []
        for line in self._lines(self._decoder.decode(chunk)):
            if line:
                self._heed(line)
            elif (event := self._end_block()) is not None:
                events.append(event)
        return events

    def _lines(self, text):
        """A CR at the end of a chunk ends its line at once; an LF may still follow."""
        if not text:
            return []
        rest = text.removeprefix("\n") if self._after_cr else text
        self._after_cr = text.endswith("\r")
        first, *others = LINE_END.split(rest)
        *lines, self._line = [self._line + first, *others]
        return lines

    def _heed(self, line):
        """A comment is a field without a name, which is none that we know."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and DIGITS.fullmatch(value):
            self.retry = int(value) / 1000

    def _end_block(self):
        """The event, if there were data. Only now the id counts."""
        self.last_event_id = self._id
        kind, data = self._type or "message", self._data
        self._type, self._data = "", []
        return (kind, "\n".join(data), self._id) if data else None


# -- part 2 ---------------------------------------------------------------------------

PAUSE = 0.5  # seconds, until the server says otherwise


async def listen(url, on_event):
    """Call on_event(event) for each event, until the server answers 204.

    Raises httpx.HTTPStatusError for a refusal, and ValueError for another content.
    """
    last_event_id, pause = "", PAUSE
    # An event stream may be quiet for as long as it likes.
    timeout = httpx.Timeout(10, read=None)
    async with httpx.AsyncClient(timeout=timeout) as client:
        while True:
            # What a cut left unfinished ends with its connection, and with its parser.
            stream = EventStream(last_event_id)
            try:
                if not await hear(client, url, stream, on_event):
                    return
            except httpx.TransportError:
                pass  # cut, or nobody there: as good as an end
            last_event_id = stream.last_event_id
            if stream.retry is not None:
                pause = stream.retry
            await asyncio.sleep(pause)


async def hear(client, url, stream, on_event):
    """One connection, to its end; returns False when the server wants no more."""
    headers = {"Accept": "text/event-stream"}
    if stream.last_event_id:
        # Bytes, for httpx takes only ASCII in a str.
        headers["Last-Event-ID"] = stream.last_event_id.encode()
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 204:
            return False
        response.raise_for_status()
        kind = response.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            raise ValueError(f"this is no event stream, but {kind!r}")
        async for chunk in response.aiter_bytes():
            for event in stream.feed(chunk):
                on_event(event)
    return True
