"""It tries again when the server is busy."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "refused"
SAYS = "503 too"

listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "return False": (
            "return False\n"
            "        if response.status_code == 503:\n"
            "            return True"
        ),
    },
)
