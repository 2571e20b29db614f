"""It takes a broken connection for the end of all."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "resumes"
SAYS = "is no reason to give up"
ALSO_CAUGHT_BY = {
    "comes_back": "there, too, connections break",
    "waits": "there, too, a connection breaks",
}

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        (
            "try:\n"
            "                if not await hear(client, url, stream, on_event):\n"
            "                    return\n"
            "            except httpx.TransportError:\n"
            "                pass  # cut, or nobody there: as good as an end"
        ): (
            "if not await hear(client, url, stream, on_event):\n                return"
        ),
    },
)
