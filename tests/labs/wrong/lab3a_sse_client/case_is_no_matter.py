"""It takes Data for data."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "fields"
SAYS = "A name that is not exactly"


class EventStream(Solution):
    def _heed(self, line):
        name, colon, value = line.partition(":")
        super()._heed(name.strip().lower() + colon + value)
