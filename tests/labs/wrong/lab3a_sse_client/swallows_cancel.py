"""It ends when it is cancelled, as if it were done."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "cancelled"
SAYS = "Whoever cancels waits for CancelledError"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "                    return": (
            "                    return\n"
            "            except asyncio.CancelledError:\n"
            "                return"
        ),
    },
)
