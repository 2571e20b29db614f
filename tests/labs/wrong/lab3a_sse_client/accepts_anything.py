"""It does not say what it wants."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "asks"
SAYS = "Say Accept: text/event-stream"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        'headers = {"Accept": "text/event-stream"}': "headers = {}",
    },
)
