"""It ends lines at LF and CRLF only."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "line_ends"
SAYS = "may use"
ALSO_CAUGHT_BY = {
    "prompt": "a blank line may be a CR, too",
    "split": "some lines there end with CR",
}


class EventStream(Solution):
    def _lines(self, text):
        *lines, self._line = (self._line + text).split("\n")
        return [line.removesuffix("\r") for line in lines]
