"""It removes U+FEFF wherever it stands."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "bom"
SAYS = "Only one BOM goes"


class EventStream(Solution):
    def _heed(self, line):
        super()._heed(line.replace("\ufeff", ""))
