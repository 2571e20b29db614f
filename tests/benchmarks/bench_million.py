"""A million WebSockets on one machine, held by two lean servers, one after the other.

    python3 workbook.py bench million
    .venv/bin/python -m tests.benchmarks.bench_million --connections 100000

Each server process has a listening port of its own and one client process, whose
connections come from several addresses of 127.0.0.0/8: an address and a port have only
some 28,000 connections between them. That needs no root and no namespace of its own.
It checks the machine's limits first and starts nothing when one is too low; it asks
before it takes the memory; and it ends by itself, also when it is stopped or fails.

``--store`` keeps the result where notebook 03 and the README find it.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import wait

import psutil

from helpers.lesson.million import Held, store
from helpers.measure.memory_parts import available, kernel_memory
from helpers.measure.units import number, size
from helpers.servers.lean import LeanServer
from helpers.servers.lean_base import LeanWebSockets
from helpers.servers.lean_epoll import EpollServer
from tests.benchmarks.million_limits import Plan, make_plan, obstacles
from tests.benchmarks.million_processes import Worker, hold, serve

SERVERS: dict[str, type[LeanWebSockets]] = {
    "epoll, no object each": EpollServer,
    "asyncio.Protocol on uvloop": LeanServer,
}
CONNECTIONS = int(os.environ.get("WORKBOOK_CONNECTIONS", "1000000"))
LIMIT = 1800  # seconds for both servers: a lost broadcast must not hold it for ever
SAMPLE = 100  # one connection in so many is asked for an echo
NEWS = b"kick-off"
SETTLED = 50_000_000  # bytes: the kernel frees what was closed a little later


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    plan = make_plan(options.connections)
    if found := list(obstacles(plan)):
        print(f"{plan.connections:,} connections can not be held here:")
        print(*found, sep="\n")
        return 1
    if not (options.yes or _agreed(plan)):
        return 0
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(LIMIT)
    runs, load = [], os.getloadavg()[0]  # before we add to it
    for name, kind in SERVERS.items():
        runs.append(run(name, kind, plan))
        print(runs[-1], end="\n\n", flush=True)
    if options.store:
        store(runs, _machine(load))
    return 0 if all(complete(held, plan) for held in runs) else 1


def _give_up(*_: object) -> None:
    raise TimeoutError(f"not done after {LIMIT} s; all that was started is ended")


def complete(held: Held, plan: Plan) -> bool:
    """All were held, all of the sample echoed, all heard the broadcast."""
    return (
        held.connections == held.heard == plan.connections
        and held.echoed == held.asked > 0
        and held.errors == 0
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_million", description=__doc__)
    parser.add_argument(
        "--connections",
        type=int,
        default=CONNECTIONS,
        help="how many (default: %(default)s, or WORKBOOK_CONNECTIONS)",
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before it starts"
    )
    parser.add_argument("--store", action="store_true", help="keep the result")
    return parser.parse_args(arguments)


def _agreed(plan: Plan) -> bool:
    """Ask whoever sits there; where nobody does, the check of the limits is enough."""
    print(
        f"{plan.connections:,} connections take up to {size(plan.memory)} of memory "
        f"({size(available())} are free), for a few minutes."
    )
    return not sys.stdin.isatty() or input("Go on? [y/N] ").lower().startswith("y")


def run(name: str, kind: type[LeanWebSockets], plan: Plan) -> Held:
    """Hold them all by one kind of server, look, and let go."""
    kernel, free = kernel_memory(), psutil.virtual_memory().free
    with ExitStack() as stack:
        servers = [stack.enter_context(Worker(serve, kind, n)) for n in plan.shares]
        clients = [
            stack.enter_context(Worker(hold, port, list(addresses(index, plan)), share))
            for index, (port, share) in enumerate(
                zip(ask(servers, "port"), plan.shares, strict=True)
            )
        ]
        began = time.monotonic()
        failures = _open(clients, plan)
        open_seconds = time.monotonic() - began
        checked = ask(clients, "echo", SAMPLE)
        kernel_bytes = int(kernel_memory() - kernel)
        taken_bytes = free - psutil.virtual_memory().free
        server_bytes = sum(ask(servers, "memory"))
        client_bytes = sum(ask(clients, "memory"))
        heard, broadcast_seconds = _broadcast(servers, clients)
        connections = sum(ask(servers, "connections"))
        began = time.monotonic()
        ask(clients, "close")
        _wait_until(lambda: sum(ask(servers, "connections")) == 0)
        close_seconds = time.monotonic() - began
    _wait_until(lambda: kernel_memory() - kernel < SETTLED)
    for failure in failures[:3]:
        print(failure)
    return Held(
        server=name,
        connections=connections,
        errors=len(failures),
        processes=plan.processes,
        open_seconds=open_seconds,
        kernel_bytes=kernel_bytes,
        server_bytes=server_bytes,
        client_bytes=client_bytes,
        taken_bytes=taken_bytes,
        asked=sum(asked for asked, _ in checked),
        echoed=sum(echoed for _, echoed in checked),
        heard=heard,
        broadcast_seconds=broadcast_seconds,
        close_seconds=close_seconds,
    )


def addresses(index: int, plan: Plan) -> Iterator[str]:
    """The source addresses of one client process: 127.1.0.1, 127.1.0.2, …"""
    for source in range(index * plan.sources, (index + 1) * plan.sources):
        high, low = divmod(source, 250)
        yield f"127.1.{high}.{low + 1}"


def ask(workers: Sequence[Worker], question: str, *args: object) -> list:
    """Ask all, then wait for all: they work at the same time."""
    for worker in workers:
        worker.tell(question, *args)
    return [worker.answer() for worker in workers]


def _open(clients: Sequence[Worker], plan: Plan) -> list[str]:
    """Let all clients connect; returns what went wrong."""
    for client, share in zip(clients, plan.shares, strict=True):
        client.tell("open", share)
    failures, opened, shown = [], 0, 0
    busy = {client.pipe: client for client in clients}
    while busy:
        for pipe in wait(list(busy)):
            said = busy[pipe].answer()
            if isinstance(said, int):
                opened += said
                continue
            del busy[pipe]
            if said is not None:
                failures.append(said)
        if opened >= shown + plan.connections // 10:
            shown = opened
            print(f"{opened:,} open, {size(available())} free", file=sys.stderr)
    return failures


def _broadcast(
    servers: Sequence[Worker], clients: Sequence[Worker]
) -> tuple[int, float]:
    """How many heard it, and seconds from the word until the last of them had it."""
    for client in clients:
        client.tell("hear", NEWS)
    began = time.monotonic()
    ask(servers, "broadcast", NEWS)
    heard = [client.answer() for client in clients]
    return sum(count for count, _ in heard), max(end for _, end in heard) - began


def _wait_until(condition: Callable[[], bool], patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


def _machine(load: float) -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {number(memory)} GiB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, "
        f"load of other work {load:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
