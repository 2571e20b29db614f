"""It can not send an id that is not ASCII."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "any_id"
SAYS = "In a header it is UTF-8"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        'headers["Last-Event-ID"] = stream.last_event_id.encode()': (
            'headers["Last-Event-ID"] = stream.last_event_id'
        ),
    },
)
