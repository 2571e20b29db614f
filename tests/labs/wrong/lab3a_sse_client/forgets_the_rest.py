"""It reads each chunk on its own."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "split"
SAYS = "Keep what is unfinished"
ALSO_CAUGHT_BY = {
    "utf8": "the line is lost before its character is",
    "bom": "a line cut behind the BOM is lost, too",
}


class EventStream(Solution):
    def _lines(self, text):
        lines = super()._lines(text)
        rest, self._line = self._line, ""
        return [*lines, rest] if rest else lines
