"""CR and LF in two chunks are two ends to it."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "split"
SAYS = "still one end and not two"


class EventStream(Solution):
    def _lines(self, text):
        self._after_cr = False
        return super()._lines(text)
