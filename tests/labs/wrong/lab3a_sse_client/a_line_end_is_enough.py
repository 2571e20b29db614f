"""A chunk that ends with a line is a whole event to it."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "unfinished"
SAYS = "Only a blank line makes an event"
ALSO_CAUGHT_BY = {
    "split": "chunks end anywhere there",
}


class EventStream(Solution):
    def feed(self, chunk):
        events = super().feed(chunk)
        if self._data and not self._line and chunk.endswith(b"\n"):
            events.append(self._end_block())
        return events
