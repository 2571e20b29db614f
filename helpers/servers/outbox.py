"""An outbox: what waits for a client that reads more slowly than others write.

Somebody has to pay for a slow consumer. `WhenFull` says who: the client loses
messages (drop) or its connection (disconnect), or everybody waits for it (wait).
"""

from __future__ import annotations

import enum
from collections import deque

__all__ = ["Outbox", "OutboxFull", "WhenFull"]


class WhenFull(enum.StrEnum):
    """What happens when one more message comes for a full outbox."""

    DROP = "drop"  # the oldest message goes; the client sees a gap in the numbers
    DISCONNECT = "disconnect"  # the client goes; it can come back, and see the history
    WAIT = "wait"  # who sends waits, and so does everybody else in the room


class OutboxFull(Exception):
    """There is no room, and dropping is not what was asked for."""


class Outbox:
    """At most ``limit`` messages, oldest first. ``dropped`` counts the lost ones."""

    def __init__(self, *, limit: int, when_full: WhenFull) -> None:
        self.limit = limit
        self.when_full = when_full
        self.dropped = 0
        self._messages: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        return len(self._messages) >= self.limit

    def put(self, message: str) -> None:
        """Raises OutboxFull, unless the oldest message can make room."""
        if self.full:
            if self.when_full is not WhenFull.DROP:
                raise OutboxFull(f"{self.limit} messages wait for this client already")
            self._messages.popleft()
            self.dropped += 1
        self._messages.append(message)

    def take(self) -> str:
        """The oldest message. Raises IndexError when there is none."""
        return self._messages.popleft()

    def clear(self) -> None:
        self._messages.clear()
