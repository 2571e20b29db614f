"""It keeps the events for itself."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "plain"
SAYS = "feed() returned None"


class EventStream(Solution):
    def feed(self, chunk):
        super().feed(chunk)
