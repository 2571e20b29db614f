"""It takes what is between the first two colons."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "fields"
SAYS = "The first colon ends the name"


class EventStream(Solution):
    def _heed(self, line):
        super()._heed(":".join(line.split(":")[:2]))
