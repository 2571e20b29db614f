"""Every block that says anything is an event to it."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "blocks"
SAYS = "without a data line is no event"


class EventStream(Solution):
    def _end_block(self):
        if self._type and not self._data:
            self._data = [""]
        return super()._end_block()
