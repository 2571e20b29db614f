"""It skips data without a value."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "data"
SAYS = "an empty one too"


class EventStream(Solution):
    def _heed(self, line):
        if line not in ("data", "data:") or not self._data:
            super()._heed(line)
