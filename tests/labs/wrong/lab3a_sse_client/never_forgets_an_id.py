"""An empty id changes nothing for it."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "any_id"
SAYS = "which means: forget it"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "last_event_id = stream.last_event_id": (
            "last_event_id = stream.last_event_id or last_event_id"
        ),
    },
)
