"""Of several lines of data it keeps the last."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "data"
SAYS = "join them with"
ALSO_CAUGHT_BY = {
    "fields": "data before and after a comment are two lines",
    "line_ends": "an event there has two lines of data",
    "split": "an event there has two lines of data",
}


class EventStream(Solution):
    def _heed(self, line):
        if line.startswith("data"):
            self._data.clear()
        super()._heed(line)
