"""It leaves the digits to int()."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "retry"
SAYS = "int() and str.isdigit() take far more"


class EventStream(Solution):
    def _heed(self, line):
        super()._heed(line)
        if line.startswith("retry:"):
            try:
                self.retry = int(line.removeprefix("retry:")) / 1000
            except ValueError:
                pass
