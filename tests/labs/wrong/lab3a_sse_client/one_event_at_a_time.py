"""Of two events in a chunk it gives the second later."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "prompt"
SAYS = "so the event is complete"
ALSO_CAUGHT_BY = {
    "blocks": "whole streams are in one chunk there",
    "line_ends": "whole streams are in one chunk there",
    "split": "whole streams are in one chunk there",
    "utf8": "whole streams are in one chunk there",
    "bom": "whole streams are in one chunk there",
    "ids": "whole streams are in one chunk there",
}


class EventStream(Solution):
    def __init__(self, last_event_id=""):
        super().__init__(last_event_id)
        self._ready = []

    def feed(self, chunk):
        self._ready += super().feed(chunk)
        return [self._ready.pop(0)] if self._ready else []
