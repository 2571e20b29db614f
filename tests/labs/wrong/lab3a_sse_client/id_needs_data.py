"""It skips a block that has only an id."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "ids"
SAYS = "its id counts all the same"


class EventStream(Solution):
    def _end_block(self):
        before = self.last_event_id
        event = super()._end_block()
        if event is None:
            self.last_event_id = self._id = before
        return event
