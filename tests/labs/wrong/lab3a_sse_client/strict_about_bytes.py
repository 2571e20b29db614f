"""What is no UTF-8 ends it."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "utf8"
SAYS = "becomes U+FFFD"


class EventStream(Solution):
    def __init__(self, last_event_id=""):
        super().__init__(last_event_id)
        self._decoder.errors = "strict"
