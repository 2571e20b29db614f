"""An empty id changes nothing for it."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "ids"
SAYS = "An empty id is an id"


class EventStream(Solution):
    def _heed(self, line):
        if line not in ("id", "id:"):
            super()._heed(line)
