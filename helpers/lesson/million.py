"""A million WebSockets at once, as `bench million` held them on the reference machine.

for held in million():
    held.server, held.connections, held.bytes_each, held.broadcast_seconds
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from helpers.measure.units import number, seconds, size

__all__ = ["Held", "machine", "million", "store"]

FILE = Path(__file__).with_name("content") / "03" / "million.json"


@dataclass(frozen=True)
class Held:
    """One run: so many connections, all open at once, both ends on one machine.

    Memory in bytes, all connections together: ``kernel_bytes`` for both ends,
    ``server_bytes`` and ``client_bytes`` of all their processes, interpreters included.
    ``taken_bytes`` is by how much the machine's free memory fell, whoever took it: a
    bound from above for the sum of these parts.
    ``echoed`` of the ``asked`` in a sample said back what they were told; ``heard`` got
    the broadcast, the last of them after ``broadcast_seconds``.
    """

    server: str
    connections: int
    errors: int
    processes: int
    open_seconds: float
    kernel_bytes: int
    server_bytes: int
    client_bytes: int
    taken_bytes: int
    asked: int
    echoed: int
    heard: int
    broadcast_seconds: float
    close_seconds: float

    @property
    def bytes(self) -> int:
        return self.kernel_bytes + self.server_bytes + self.client_bytes

    @property
    def bytes_each(self) -> float:
        return self.bytes / self.connections

    @property
    def per_second(self) -> float:
        """Connections opened a second, handshake included."""
        return self.connections / self.open_seconds

    @property
    def label(self) -> str:
        return "reference machine"

    def __str__(self) -> str:
        return "\n".join(f"{name:<28}{value}" for name, value in self._rows())

    def _rows(self) -> Iterable[tuple[str, str]]:
        yield "server", f"{self.server}, {self.processes} processes, as many of clients"
        yield "held at once", f"{self.connections:,}, {self.errors:,} errors"
        yield "opened in", f"{seconds(self.open_seconds)}, {number(self.per_second)}/s"
        for part in ("kernel", "server", "client"):
            total = getattr(self, f"{part}_bytes")
            each = size(total / self.connections)
            yield f"memory, {part}", f"{size(total)}, {each} each"
        yield "memory in all", f"{size(self.bytes)}, {size(self.bytes_each)} each"
        yield "free memory fell by", size(self.taken_bytes)
        yield "echo check", f"{self.echoed:,} of {self.asked:,}"
        heard = f"{self.heard:,} in {seconds(self.broadcast_seconds)}"
        yield "broadcast heard by", heard
        yield "closed in", seconds(self.close_seconds)


def million() -> list[Held]:
    """The stored runs, the leanest server first."""
    runs = [Held(**run) for run in json.loads(FILE.read_text("utf-8"))["runs"]]
    return sorted(runs, key=lambda held: held.bytes)


def machine() -> str:
    """Where they ran: cores, memory, system, and how busy it was with other work."""
    return json.loads(FILE.read_text("utf-8"))["machine"]


def store(runs: Iterable[Held], machine: str, path: Path = FILE) -> None:
    """Write what :func:`million` reads."""
    document = {"version": 1, "machine": machine, "runs": [asdict(run) for run in runs]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
