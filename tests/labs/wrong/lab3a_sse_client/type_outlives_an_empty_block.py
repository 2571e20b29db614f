"""A block without data leaves its type behind."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "blocks"
SAYS = "leaves nothing behind"


class EventStream(Solution):
    def _end_block(self):
        kind = self._type
        event = super()._end_block()
        if event is None:
            self._type = kind
        return event
