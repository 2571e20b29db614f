"""It takes all spaces from around a value."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "fields"
SAYS = "One space behind the colon goes"
ALSO_CAUGHT_BY = {
    "retry": "a retry with spaces becomes one without",
}


class EventStream(Solution):
    def _heed(self, line):
        name, colon, value = line.partition(":")
        super()._heed(f"{name}{colon}{value.strip()}")
