"""It does not wait until a server says retry."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "waits"
SAYS = "must not be hammered"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        'last_event_id, pause = "", PAUSE': 'last_event_id, pause = "", 0',
    },
)
