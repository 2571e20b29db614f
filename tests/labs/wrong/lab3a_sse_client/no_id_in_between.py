"""Each stream begins without an id."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "any_id"
SAYS = "so the older one still holds"
ALSO_CAUGHT_BY = {
    "resumes": "a connection without a word takes the id away, too",
}

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "stream = EventStream(last_event_id)": "stream = EventStream()",
        "if not await hear(client, url, stream, on_event):": (
            "if not await hear(client, url, stream, last_event_id, on_event):"
        ),
        "async def hear(client, url, stream, on_event):": (
            "async def hear(client, url, stream, last_event_id, on_event):"
        ),
        (
            "if stream.last_event_id:\n"
            "        # Bytes, for httpx takes only ASCII in a str.\n"
            '        headers["Last-Event-ID"] = stream.last_event_id.encode()'
        ): (
            "if last_event_id:\n"
            '        headers["Last-Event-ID"] = last_event_id.encode()'
        ),
    },
)
