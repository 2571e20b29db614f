"""It asks the last event for the id, not the stream."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "any_id"
SAYS = "Ask your stream"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "last_event_id = stream.last_event_id": (
            'last_event_id = getattr(stream, "heard", last_event_id)'
        ),
        "                on_event(event)": (
            "                on_event(event)\n                stream.heard = event[2]"
        ),
    },
)
