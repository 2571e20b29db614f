"""Each stream begins with a pause of its own."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "heeds_retry"
SAYS = "A new stream has no retry yet"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        (
            "if stream.retry is not None:\n"
            "                pause = stream.retry\n"
            "            await asyncio.sleep(pause)"
        ): "await asyncio.sleep(pause if stream.retry is None else stream.retry)",
    },
)
