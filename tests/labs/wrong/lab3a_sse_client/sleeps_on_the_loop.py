"""It waits with time.sleep()."""

import time

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "unblocked"
SAYS = "hold the only thread that there is"
ALSO_CAUGHT_BY = {
    "cancelled": "nobody can cancel what holds the loop",
}

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "await asyncio.sleep(pause)": "time.sleep(pause)",
    },
    time=time,
)
