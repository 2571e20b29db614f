"""It takes an id with U+0000 in it."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "ids"
SAYS = "An id with U+0000"


class EventStream(Solution):
    def _heed(self, line):
        super()._heed(line)
        if line.startswith("id: "):
            self._id = line.removeprefix("id: ")
