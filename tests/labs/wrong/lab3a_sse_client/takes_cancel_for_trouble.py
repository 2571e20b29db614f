"""It connects again when it is cancelled."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "cancelled"
SAYS = "by a bare except"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "except httpx.TransportError:": (
            "except (httpx.TransportError, asyncio.CancelledError):"
        ),
    },
)
