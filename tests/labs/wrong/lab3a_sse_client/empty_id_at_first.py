"""It says Last-Event-ID before there is one."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "asks"
SAYS = "Leave that header out"
ALSO_CAUGHT_BY = {
    "any_id": "after an empty id there is none, too",
}

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        (
            "if stream.last_event_id:\n"
            "        # Bytes, for httpx takes only ASCII in a str.\n"
            '        headers["Last-Event-ID"] = stream.last_event_id.encode()'
        ): 'headers["Last-Event-ID"] = stream.last_event_id.encode()',
    },
)
