"""It asks str.isdigit() for digits."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "retry"
SAYS = "int() and str.isdigit() take far more"


class EventStream(Solution):
    def _heed(self, line):
        super()._heed(line)
        value = line.removeprefix("retry: ")
        if value != line and value.isdigit():
            self.retry = int(value) / 1000
