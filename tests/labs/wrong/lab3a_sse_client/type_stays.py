"""An event's type holds for those after it."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "blocks"
SAYS = "begins as 'message' again"
ALSO_CAUGHT_BY = {
    "line_ends": "an event without a type follows one with a type",
    "split": "an event without a type follows one with a type",
}


class EventStream(Solution):
    def _end_block(self):
        kind = self._type
        event = super()._end_block()
        self._type = kind
        return event
