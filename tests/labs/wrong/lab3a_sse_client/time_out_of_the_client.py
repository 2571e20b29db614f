"""It leaves the time-out to httpx."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "quiet"
SAYS = "unless you say otherwise"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        (
            "timeout = httpx.Timeout(10, read=None)\n"
            "    async with httpx.AsyncClient(timeout=timeout) as client:"
        ): "async with httpx.AsyncClient() as client:",
    },
)
