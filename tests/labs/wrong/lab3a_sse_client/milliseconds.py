"""It keeps the retry in milliseconds."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "retry"
SAYS = "your attribute is in seconds"


class EventStream(Solution):
    def _heed(self, line):
        before = self.retry
        super()._heed(line)
        if self.retry != before:
            self.retry *= 1000
