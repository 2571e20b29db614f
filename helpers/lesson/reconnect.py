"""A server restarts, and everybody comes back at once: a real crowd.

    seen = storm(Backoff(jitter=False))
    seen.all_back, seen.moments, seen.tries_per_second, seen.accepted_per_second

simulate() in reconnect_model.py does the same for crowds that no machine can hold.
"""

from __future__ import annotations

import enum
import heapq
import selectors
import socket
from collections import Counter
from time import perf_counter

import numpy as np

from helpers.lesson.backoff import Backoff
from helpers.lesson.storm import CROWD, STEP, Restart, Storm
from helpers.measure.connections import room_for_descriptors
from helpers.servers.turnstile import HELLO, Turnstile

__all__ = ["Backoff", "storm"]

GATHERING = 60.0  # seconds that the crowd has to come in the first time


def storm(
    backoff: Backoff, restart: Restart = CROWD, *, limit: float = 60.0, seed: int = 1
) -> Storm:
    """A crowd of clients loses its server and comes back; what was seen.

    The server is a process of its own (turnstile.py). Keep ``restart.patience`` below
    1 second, when the kernel asks again by itself. The clock stops after ``limit``
    seconds, whoever is out then.

    The waits come from ``seed``; what the machine makes of them differs a little each
    time. Raises NoDescriptors when the machine does not allow so many sockets.
    """
    server = Turnstile.in_process(
        rate=restart.rate, backlog=restart.backlog, max_clients=2 * restart.clients
    )
    # The server, which inherits the limit, has as many sockets again.
    with room_for_descriptors(restart.clients + restart.backlog), server:
        crowd = _Crowd((server.host, server.port), backoff, restart.patience)
        try:
            crowd.gather(restart.clients, seed)
            crowd.lose_its_server(restart.down, limit)
            return crowd.storm(restart.down)
        finally:
            crowd.close()


class _State(enum.Enum):
    WAITS = enum.auto()  # before its next try
    TRIES = enum.auto()  # and has heard nothing yet
    IN = enum.auto()


class _Client:
    """One of the crowd. ``failed`` counts its tries since it was in."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.state = _State.WAITS
        self.failed = 0
        self.socket: socket.socket | None = None


class _Crowd:
    """Clients on bare sockets, all in one loop over them.

    asyncio would take a third of a second to let 2,000 of them try, and what would be
    seen then is how slow the crowd is.
    """

    def __init__(
        self, address: tuple[str, int], backoff: Backoff, patience: float
    ) -> None:
        self._address = address
        self._family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._backoff = backoff
        self._patience = patience
        self._selector = selectors.DefaultSelector()
        self._clients: list[_Client] = []
        self._inside = 0
        # When, whose, and which of its tries: to begin it, or to give it up.
        self._due: list[tuple[float, int, int, _State]] = []
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._tries: list[float] = []
        self._accepted: list[float] = []
        self._failures: Counter[str] = Counter()

    def gather(self, clients: int, seed: int) -> None:
        """Let all come in for the first time."""
        # A generator for each, so that its waits do not depend on who came before it.
        rngs = (np.random.default_rng([seed, number]) for number in range(clients))
        self._clients = [_Client(rng) for rng in rngs]
        for number in range(clients):
            self._try(number)
        self._run(GATHERING)
        if self._inside < clients:
            raise RuntimeError(f"only {self._inside} of {clients} clients came in")

    def lose_its_server(self, down: float, limit: float) -> None:
        """Make the server restart, and let all come back, as far as they get."""
        self._begin_anew()
        self._lost_at = perf_counter()
        self._clients[0].socket.send(f"restart {down:.3f}\n".encode())
        self._fall_out(0, self._lost_at)
        self._limit = limit
        self._run(down + limit)

    def _run(self, limit: float) -> None:
        """Until all are in, or ``limit`` seconds are over."""
        end = perf_counter() + limit
        while self._inside < len(self._clients) and (now := perf_counter()) < end:
            wake = min(self._due[0][0], end) if self._due else end
            for key, _ in self._selector.select(max(0.0, wake - now)):
                self._hear(key.data)
            self._act(perf_counter())

    def _act(self, now: float) -> None:
        """Begin the tries that are due, and give up those that took too long."""
        while self._due and self._due[0][0] <= now:
            _, number, failed, state = heapq.heappop(self._due)
            client = self._clients[number]
            if (client.failed, client.state) != (failed, state):
                continue  # it has moved on
            if state is _State.WAITS:
                self._try(number)
            else:
                self._fail(number, "timed out")

    def _try(self, number: int) -> None:
        client = self._clients[number]
        client.state = _State.TRIES
        client.socket = socket.socket(self._family)
        client.socket.setblocking(False)
        now = perf_counter()
        self._tries.append(now)
        client.socket.connect_ex(self._address)  # how it went, recv() tells
        self._selector.register(client.socket, selectors.EVENT_READ, number)
        give_up_at = now + self._patience
        heapq.heappush(self._due, (give_up_at, number, client.failed, client.state))

    def _hear(self, number: int) -> None:
        """Its server said hello, refused it, or is gone."""
        client = self._clients[number]
        try:
            said = client.socket.recv(64)
            how = "cut off"
        except OSError as error:
            said = b""
            how = "refused" if isinstance(error, ConnectionRefusedError) else "cut off"
        if client.state is _State.IN and not said:
            self._fall_out(number, perf_counter())
        elif client.state is _State.TRIES and said == HELLO:
            self._accepted.append(perf_counter())
            client.state, client.failed = _State.IN, 0
            self._inside += 1
        elif client.state is _State.TRIES:
            self._fail(number, how)

    def _fall_out(self, number: int, now: float) -> None:
        self._inside -= 1
        self._wait(number, now)

    def _fail(self, number: int, how: str) -> None:
        self._failures[how] += 1
        self._clients[number].failed += 1
        self._wait(number, perf_counter())

    def _wait(self, number: int, now: float) -> None:
        client = self._clients[number]
        self._selector.unregister(client.socket)
        client.socket.close()
        client.state = _State.WAITS
        try_at = now + self._backoff.wait(client.failed, client.rng)
        heapq.heappush(self._due, (try_at, number, client.failed, client.state))

    def storm(self, down: float) -> Storm:
        """What was seen since the server was lost."""
        again_at = self._lost_at + down
        accepted = np.sort(self._accepted) - again_at
        tries = np.array(self._tries) - again_at
        last = int((accepted.max(initial=0) + down) / STEP)
        return Storm(
            clients=len(self._clients),
            begin=-down,
            accepted=accepted,
            tries=np.bincount(((tries + down) / STEP).astype(int), minlength=last + 1),
            failures=self._failures,
            label="measured here",
            limit=self._limit,
        )

    def close(self) -> None:
        for client in self._clients:
            if client.socket is not None:
                client.socket.close()
        self._selector.close()
