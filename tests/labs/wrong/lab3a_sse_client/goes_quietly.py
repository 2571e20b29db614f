"""It returns when it is refused."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "refused"
SAYS = "believes that all events were heard"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "response.raise_for_status()": (
            "if response.status_code != 200:\n            return False"
        ),
    },
)
