"""Job: work that was accepted and is done later; its states, and its JSON.

          +-> cancelled <-+
          |               |
waiting --+---> running --+--> done
   ^               |      |
   +-- a restart --+      +--> failed
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

__all__ = [
    "Delivery",
    "Job",
    "JobError",
    "KeyReused",
    "QueueFull",
    "State",
    "TooLate",
    "WorkError",
]


class JobError(Exception):
    """What a client is told.

    JobError
    +-- QueueFull   later there may be room
    +-- KeyReused   its Idempotency-Key came with another order before
    +-- TooLate     the job is finished
    +-- WorkError   the work can not be done, and that is not the server's fault
    """


class QueueFull(JobError):
    pass


class KeyReused(JobError):
    pass


class TooLate(JobError):
    pass


class WorkError(JobError):
    pass


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


MOVES: Mapping[State, frozenset[State]] = {
    State.WAITING: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset(
        {State.WAITING, State.DONE, State.FAILED, State.CANCELLED}
    ),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


class Delivery(StrEnum):
    """Of the callback, if the client asked for one."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


@dataclass
class Job:
    """``key`` is the Idempotency-Key it came with, ``begun`` how often its work began.

    ``progress`` goes from 0 to 1. ``error`` says why it failed.
    """

    video: str
    callback: str | None = None
    key: str | None = None
    id: int = 0
    state: State = State.WAITING
    progress: float = 0.0
    result: dict[str, Any] | None = None
    error: str | None = None
    begun: int = 0
    delivery: Delivery | None = None

    @property
    def path(self) -> str:
        return f"/jobs/{self.id}"

    @property
    def finished(self) -> bool:
        return not MOVES[self.state]

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do for it, its callback included."""
        return self.finished and self.delivery is not Delivery.PENDING

    def move(self, state: State) -> None:
        """Raises ValueError when no arrow of the picture above leads there."""
        if state not in MOVES[self.state]:
            raise ValueError(f"job {self.id} can not go from {self.state} to {state}")
        self.state = state

    def put_back(self) -> None:
        """From running to waiting: it will begin anew."""
        self.move(State.WAITING)
        self.progress = 0.0

    def outcome(self) -> dict[str, object]:
        """What a callback brings."""
        outcome: dict[str, object] = {
            "id": self.id,
            "video": self.video,
            "state": self.state,
            "progress": self.progress,
            "result": self.result,
        }
        if self.error is not None:
            outcome["error"] = self.error
        return outcome

    def members(self) -> dict[str, object]:
        """What a client sees."""
        if self.callback is None:
            return self.outcome()
        callback = {"callback": self.callback, "callback_state": self.delivery}
        return self.outcome() | callback

    def to_json(self) -> str:
        """All of it, for the journal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, number: int, text: str) -> Self:
        """Raises ValueError or TypeError for a text that to_json() did not write."""
        job = cls(**json.loads(text) | {"id": number})
        job.state = State(job.state)
        job.delivery = None if job.delivery is None else Delivery(job.delivery)
        return job
