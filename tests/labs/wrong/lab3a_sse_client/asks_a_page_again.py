"""It takes a wrong type for trouble that passes."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "wrong_kind"
SAYS = "will be the same next time"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        'raise ValueError(f"this is no event stream, but {kind!r}")': "return True",
    },
)
