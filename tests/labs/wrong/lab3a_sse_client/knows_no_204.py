"""It comes back after a 204."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "stops"
SAYS = "the client came again"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "return False": "return True",
    },
)
