"""It gives up when nobody listens."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "comes_back"
SAYS = "is no reason to give up"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "except httpx.TransportError:": (
            "except (httpx.ReadError, httpx.RemoteProtocolError):"
        ),
    },
)
