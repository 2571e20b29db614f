"""What a machine must allow before it holds a million connections; a cure for each."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.measure.memory_parts import available
from helpers.measure.units import size

# Per connection, with room to spare: what two sockets take in the kernel, with their
# buffers during a broadcast; what the dearer server takes; the client's four bytes.
MEMORY_EACH = 10_500 + 2_000 + 100
MEMORY_EACH_PROCESS = 8_000_000
DESCRIPTORS_SPARE = 256  # of each process
FEWEST_DESCRIPTORS = 1024
# connect() tries half of the port range first, quickly, and the other half slowly.
PORTS_SHARE = 0.45
MOST_PROCESSES = 400  # servers and clients; beyond that the machine does little else


@dataclass(frozen=True)
class Plan:
    """How many processes of each kind, and how the connections are dealt to them."""

    connections: int
    processes: int
    sources: int  # source addresses of each client process

    @property
    def shares(self) -> list[int]:
        """The connections of each process."""
        even, rest = divmod(self.connections, self.processes)
        return [even + (index < rest) for index in range(self.processes)]

    @property
    def memory(self) -> int:
        """Bytes that it will take at most."""
        each_process = 2 * self.processes * MEMORY_EACH_PROCESS
        return self.connections * MEMORY_EACH + each_process


def make_plan(connections: int) -> Plan:
    """As few processes as the limit on descriptors allows, and not fewer than cores."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    most = max(most, FEWEST_DESCRIPTORS) - DESCRIPTORS_SPARE
    processes = min(max(math.ceil(connections / most), 2), connections)
    share = math.ceil(connections / processes)
    first, last = _numbers("/proc/sys/net/ipv4/ip_local_port_range") or (32768, 60999)
    sources = math.ceil(share / ((last - first) * PORTS_SHARE))
    return Plan(connections, processes, sources)


def obstacles(plan: Plan) -> Iterator[str]:
    """All that stands against it on this machine, each with its cure; none: go on."""
    if sys.platform != "linux":
        yield "It needs epoll and the whole of 127.0.0.0/8: run it on Linux."
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FEWEST_DESCRIPTORS:
        yield (
            f"A process may have {hard:,} file descriptors: raise the hard limit, "
            "`ulimit -Hn 20000` as root, or LimitNOFILE= of the service."
        )
    if 2 * plan.processes > MOST_PROCESSES:
        yield (
            f"It takes {2 * plan.processes:,} processes, since each may have only "
            f"{hard:,} descriptors: raise the hard limit, `ulimit -Hn 20000` as root."
        )
    yield from _too_few_files(plan)
    yield from _too_few_watches(plan)
    yield from _too_few_processes(plan)
    yield from _too_little_memory(plan)


def _too_few_files(plan: Plan) -> Iterator[str]:
    used, _, most = _numbers("/proc/sys/fs/file-nr") or (0, 0, 1 << 62)
    needed = used + 2 * plan.connections + 10_000
    if needed > most:
        yield (
            f"The whole system may have {most:,} open files, it takes {needed:,}: "
            f"`sysctl fs.file-max={needed}` as root."
        )


def _too_few_watches(plan: Plan) -> Iterator[str]:
    (most,) = _numbers("/proc/sys/fs/epoll/max_user_watches") or (1 << 62,)
    if plan.connections > most:
        yield (
            f"A user may watch {most:,} descriptors by epoll: "
            f"`sysctl fs.epoll.max_user_watches={plan.connections}` as root."
        )


def _too_few_processes(plan: Plan) -> Iterator[str]:
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if most != resource.RLIM_INFINITY and 2 * plan.processes + 50 > most:
        yield f"A user may have {most:,} processes: raise it, `ulimit -u 4096`."


def _too_little_memory(plan: Plan) -> Iterator[str]:
    free = available()
    if plan.memory > free:
        fits = int(plan.connections * free / plan.memory * 0.9) // 1000 * 1000
        yield (
            f"It takes up to {size(plan.memory)} of memory and {size(free)} are free: "
            f"end something large, or hold {fits:,} connections."
        )


def _numbers(path: str) -> tuple[int, ...]:
    """A file of the kernel's with a few numbers in it; none where there is no such."""
    try:
        return tuple(map(int, Path(path).read_text().split()))
    except OSError:
        return ()
