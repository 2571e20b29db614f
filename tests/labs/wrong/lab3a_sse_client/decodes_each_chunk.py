"""It decodes every chunk by itself."""

from labs.solutions.lab3a_sse_client import EventStream as Solution

CAUGHT_BY = "utf8"
SAYS = "a chunk may end between them"
ALSO_CAUGHT_BY = {
    "bom": "a BOM is three bytes, and is cut as well",
}


class EventStream(Solution):
    def feed(self, chunk):
        text = chunk.decode("utf-8", "replace")
        return super().feed(text.encode())
