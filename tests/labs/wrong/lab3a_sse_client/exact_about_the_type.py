"""It does not expect a charset."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "wrong_kind"
SAYS = "what comes after a ; does not matter"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        'if kind.partition(";")[0].strip().lower() != "text/event-stream":': (
            'if kind != "text/event-stream":'
        ),
    },
)
