"""It does not care for retry."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "heeds_retry"
SAYS = "as long as your stream's retry says"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        ("if stream.retry is not None:\n                pause = stream.retry"): "",
    },
)
