"""It has int() read the id."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "ids"
SAYS = "It need not be a number"


class EventStream(Solution):
    def _heed(self, line):
        if line.startswith("id: ") and "\0" not in line:
            int(line.removeprefix("id: "))
        super()._heed(line)
