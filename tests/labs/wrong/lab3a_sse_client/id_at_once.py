"""It takes an id before its block is complete."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "unfinished"
SAYS = "never gets event 2"


class EventStream(Solution):
    def _heed(self, line):
        super()._heed(line)
        self.last_event_id = self._id
