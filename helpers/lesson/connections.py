"""What one open WebSocket costs that says nothing, for four ways to serve it.

costs = await connection_costs()
costs[0].user_bytes, costs[0].kernel_bytes, costs[0].n
costs[0].at(1_000_000)            # extrapolated, and labelled so
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

from helpers.measure.connections import (
    IdleConnections,
    most_connections,
    room_for_descriptors,
)
from helpers.measure.memory_parts import available, kernel_memory, private
from helpers.measure.progress import progress_bar
from helpers.measure.units import size
from helpers.server_process import ServerProcess
from helpers.servers.echo import AiohttpSockets, WebsocketsServer
from helpers.servers.lean import LeanServer

__all__ = ["SERVERS", "ConnectionCost", "Extrapolation", "connection_costs"]

SERVERS: dict[str, Callable[[], ServerProcess]] = {
    "websockets": lambda: WebsocketsServer.in_process(),
    "websockets, not compressed": lambda: WebsocketsServer.in_process(compressed=False),
    "aiohttp": lambda: AiohttpSockets.in_process(),
    "lean asyncio.Protocol": lambda: LeanServer.in_process(),
}
MANY = 2000  # enough that a page more or less does not count, and soon done
FEWEST = 100
MOST_BYTES = 64_000  # a connection of the dearest server, kernel included
SHARE = 0.25  # of the memory that is free
# Before the first look: code that runs for the first time takes memory once.
WARM_UP = 128
STEP = 256


@dataclass(frozen=True)
class Extrapolation:
    """What ``connections`` would take, if each costs what one of ``n`` did.

    All in bytes. The model is a straight line: connections times the cost of one. It
    leaves out what a server takes without connections, and all that is not linear:
    several processes where one may not have so many descriptors, and every message.
    """

    connections: int
    n: int
    user_bytes: float
    kernel_bytes: float

    @property
    def bytes(self) -> float:
        return self.user_bytes + self.kernel_bytes

    @property
    def label(self) -> str:
        return f"extrapolated from {self.n:,}"

    @property
    def model(self) -> str:
        """As one line of text."""
        each = [size(part / self.connections) for part in self._parts]
        return (
            f"{self.connections:,} × ({each[0]} + {each[1]}) = {size(self.bytes)}, "
            f"{self.label}"
        )

    @property
    def _parts(self) -> tuple[float, float]:
        return self.user_bytes, self.kernel_bytes


@dataclass(frozen=True)
class ConnectionCost:
    """What one of ``n`` idle connections took: measured here.

    user_bytes      of memory in the server's process
    kernel_bytes    in the kernel, for both ends, since both are on this machine; a
                    server alone has about half. The median over all the servers: what
                    a process does with a socket makes it no larger, and what else goes
                    on in the machine would show. nan where nothing tells it.
    seconds         to open all ``n``, the client's part included
    """

    server: str
    n: int
    user_bytes: float
    kernel_bytes: float
    seconds: float

    @property
    def per_second(self) -> float:
        """Handshakes a second, from a client that takes its share of the machine."""
        return self.n / self.seconds

    @property
    def label(self) -> str:
        return f"measured here with {self.n:,}"

    def at(self, connections: int = 1_000_000) -> Extrapolation:
        """The same cost for each of so many."""
        return Extrapolation(
            connections,
            self.n,
            connections * self.user_bytes,
            connections * self.kernel_bytes,
        )


async def connection_costs(
    n: int | None = None,
    *,
    servers: Mapping[str, Callable[[], ServerProcess]] = SERVERS,
    progress: bool = True,
) -> list[ConnectionCost]:
    """Open ``n`` idle connections to each server in turn, and see what memory it takes.

    Each server has a process of its own. ``n`` is 2,000 unless told, and fewer where
    free memory or the limit on file descriptors (`ulimit -Hn`) do not allow it; the
    result says how many there were. The kernel's part may be what the whole machine
    took meanwhile (see ``kernel_source()``): on a busy one it is off by some kB.

    Raises ValueError when ``n`` is below 100, for then a page more or less counts.
    """
    if n is not None and n < FEWEST:
        raise ValueError(f"n must be at least {FEWEST}, not {n!r}")
    run = _Run(min(n or MANY, affordable()))
    total = run.n * len(servers)
    with room_for_descriptors(run.n + WARM_UP):
        async with progress_bar(
            run.opened, total, None, shown=progress, noun="connections"
        ):
            for name, make in servers.items():
                await run.measure(name, make())
    return run.results()


def affordable() -> int:
    """Connections that memory and descriptors allow here, at least 100."""
    by_memory = available() * SHARE / MOST_BYTES
    by_descriptors = most_connections() - WARM_UP
    return max(min(int(by_memory), by_descriptors), FEWEST)


class _Run:
    """One server after the other, with ``n`` connections each."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._costs: list[ConnectionCost] = []
        self._crowd = IdleConnections(0)

    def opened(self) -> int:
        return len(self._costs) * self.n + min(len(self._crowd), self.n)

    async def measure(self, name: str, process: ServerProcess) -> None:
        async with process as server:
            with IdleConnections(server.port) as self._crowd:
                self._costs.append(await self._cost(name, server.pid))
                server.kill()  # two thousand good-byes are not the lesson

    async def _cost(self, name: str, pid: int) -> ConnectionCost:
        await self._open(WARM_UP)
        user, kernel = private(pid), kernel_memory()
        began = perf_counter()
        await self._open(self.n)
        seconds = perf_counter() - began
        return ConnectionCost(
            server=name,
            n=self.n,
            user_bytes=max(private(pid) - user, 0) / self.n,
            kernel_bytes=(kernel_memory() - kernel) / self.n,
            seconds=seconds,
        )

    async def _open(self, count: int) -> None:
        """In steps, so that a cancelled cell ends between two of them."""
        while count > 0:
            await _in_thread(self._crowd.open, min(count, STEP))
            count -= STEP
        if not await _in_thread(self._crowd.ping):
            raise ConnectionError("the server does not answer a ping")

    def results(self) -> list[ConnectionCost]:
        kernel = median(cost.kernel_bytes for cost in self._costs)
        if kernel < 0:  # something else on this machine gave more back than we took
            kernel = math.nan
        return [replace(cost, kernel_bytes=kernel) for cost in self._costs]


async def _in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """As asyncio.to_thread; but a cancelled one is waited for, for it has sockets."""
    running = asyncio.create_task(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
