"""Its id counts as soon as it is read."""

from labs.solutions import lab3a_sse_client
from tests.labs.mistakes import with_mistake

CAUGHT_BY = "cut_short"
SAYS = "an id counts only with the blank line"


class HastyStream(lab3a_sse_client.EventStream):
    def _heed(self, line):
        super()._heed(line)
        self.last_event_id = self._id


listen = with_mistake(
    lab3a_sse_client,
    "listen",
    {
        "stream = EventStream(last_event_id)": "stream = HastyStream(last_event_id)",
    },
    HastyStream=HastyStream,
)
