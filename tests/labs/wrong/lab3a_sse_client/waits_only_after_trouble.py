"""A stream that ends well is followed at once."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "waits"
SAYS = "must not be hammered"
ALSO_CAUGHT_BY = {
    "heeds_retry": "streams end well there",
}

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "                    return": (
            "                    return\n                trouble = False"
        ),
        "pass  # cut, or nobody there: as good as an end": "trouble = True",
        "await asyncio.sleep(pause)": (
            "if trouble:\n                await asyncio.sleep(pause)"
        ),
    },
)
