"""It takes a 204 for an error."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "stops"
SAYS = "That is no error: return"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "return False": 'raise ValueError("no content")',
    },
)
