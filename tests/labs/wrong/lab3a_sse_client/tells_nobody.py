"""It reads the stream and calls nobody."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "hears"
SAYS = "on_event was never called"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        (
            "for event in stream.feed(chunk):\n                on_event(event)"
        ): "stream.feed(chunk)",
    },
)
