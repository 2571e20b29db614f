"""It splits at a colon and a space."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "fields"
SAYS = "One space behind the colon goes"
ALSO_CAUGHT_BY = {
    "data": "data: without a value has no space",
    "blocks": "event: without a value has no space",
    "ids": "id: without a value has no space",
    "retry": "retry:0100 has no space",
}


class EventStream(Solution):
    def _heed(self, line):
        name, _, value = line.partition(": ")
        super()._heed(f"{name}: {value}")
