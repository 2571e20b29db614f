"""It hands over the data and keeps the rest."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "hears"
SAYS = "a tuple (type, data, id)"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "                on_event(event)": "                on_event(event[1])",
    },
)
