"""It takes a heartbeat for a blank line."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "fields"
SAYS = "is a comment"


class EventStream(Solution):
    def _lines(self, text):
        return ["" if line.startswith(":") else line for line in super()._lines(text)]
