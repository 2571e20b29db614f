"""A CR ends nothing until it knows what comes next."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "prompt"
SAYS = "A \\r ends its line at once"


class EventStream(Solution):
    def __init__(self, last_event_id=""):
        super().__init__(last_event_id)
        self._kept = b""

    def feed(self, chunk):
        data = self._kept + chunk
        self._kept = b"\r" if data.endswith(b"\r") else b""
        return super().feed(data.removesuffix(b"\r") if self._kept else data)
