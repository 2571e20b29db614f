"""Each event has only the id of its own block."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "ids"
SAYS = "holds for all events after it"


class EventStream(Solution):
    def _end_block(self):
        event = super()._end_block()
        self._id = ""
        return event
