"""It takes the BOM for a part of the first name."""

import codecs

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "bom"
SAYS = "are not part of its text"


class EventStream(Solution):
    def __init__(self, last_event_id=""):
        super().__init__(last_event_id)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
