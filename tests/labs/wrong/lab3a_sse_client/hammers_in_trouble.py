"""It is back at once when a connection breaks."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "waits"
SAYS = "must not be hammered"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "pass  # cut, or nobody there: as good as an end": (
            "last_event_id = stream.last_event_id\n                continue"
        ),
    },
)
