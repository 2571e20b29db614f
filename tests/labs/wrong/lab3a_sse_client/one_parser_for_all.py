"""It goes on with what a cut left unfinished."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "cut_short"
SAYS = "begins with a new EventStream"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        'last_event_id, pause = "", PAUSE': "stream, pause = EventStream(), PAUSE",
        "stream = EventStream(last_event_id)": "",
        (
            "last_event_id = stream.last_event_id\n"
            "            if stream.retry is not None:\n"
            "                pause = stream.retry"
        ): "pause = pause if stream.retry is None else stream.retry",
    },
)
