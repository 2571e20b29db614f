"""It finds the BOM only when it is in one chunk."""

import codecs

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "bom"
SAYS = "are not part of its text"


class EventStream(Solution):
    def __init__(self, last_event_id=""):
        super().__init__(last_event_id)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_first = True

    def feed(self, chunk):
        if chunk and self._is_first:
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
            self._is_first = False
        return super().feed(chunk)
