"""It takes ids for numbers."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "any_id"
SAYS = "An id is any text"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "last_event_id = stream.last_event_id": (
            "if stream.last_event_id.isdigit():\n"
            "                last_event_id = stream.last_event_id"
        ),
    },
)
