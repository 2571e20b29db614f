"""It looks for events in any answer."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "wrong_kind"
SAYS = "took that for an event stream"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        '!= "text/event-stream":': "is None:  # never",
    },
)
