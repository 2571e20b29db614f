"""It asks for everything again."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "resumes"
SAYS = "a client says how far it got"
ALSO_CAUGHT_BY = {
    "cut_short": "it resumes nowhere",
    "any_id": "it says no id at all",
}

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        (
            "if stream.last_event_id:\n"
            "        # Bytes, for httpx takes only ASCII in a str.\n"
            '        headers["Last-Event-ID"] = stream.last_event_id.encode()'
        ): "",
    },
)
