"""It reads the stream in pieces of one size."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "live"
SAYS = "nor for a certain number of bytes"
ALSO_CAUGHT_BY = {
    "cancelled": "it hears nothing of a stream that goes on",
}

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "async for chunk in response.aiter_bytes():": (
            "async for chunk in response.aiter_bytes(1024):"
        ),
    },
)
