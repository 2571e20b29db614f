"""Link against socat: 1 GB one way, and 1-byte round trips, side by side.

The relay, the peer behind it and the client that measures are three processes.
The link captures as always. Each figure is the median over interleaved pairs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

PAIRS = 7
ROUND_TRIPS = 10_000
TRANSFER = 1_000_000_000
BLOCK = bytes(1024 * 1024)
WARM_UP = 200

LINK = """
from helpers.network.link import Link
import sys
link = Link(("127.0.0.1", int(sys.argv[1]))).start()
print(link.port, flush=True)
sys.stdin.read()
"""


def serve_peer(listener: socket.socket) -> None:
    """Echo, or swallow and count, as the first byte asks."""

    def serve(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if client.recv(1) == b"e":
            while data := client.recv(65536):
                client.sendall(data)
        else:
            buffer = bytearray(1024 * 1024)
            total = 0
            while size := client.recv_into(buffer):
                total += size
            client.sendall(b"%d" % total)
        client.close()

    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


@contextlib.contextmanager
def process(argv: list[str]) -> Iterator[subprocess.Popen]:
    """A child process with pipes, ended with all that it forked (as socat does)."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, start_new_session=True, **pipes) as child:
        try:
            yield child
        finally:
            os.killpg(child.pid, signal.SIGKILL)


@contextlib.contextmanager
def peer() -> Iterator[int]:
    code = "from tests.benchmarks import bench_link as b; b.peer_main()"
    with process([sys.executable, "-c", code]) as child:
        yield int(child.stdout.readline())


def peer_main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    serve_peer(listener)


@contextlib.contextmanager
def link(target: int) -> Iterator[int]:
    with process([sys.executable, "-c", LINK, str(target)]) as child:
        yield int(child.stdout.readline())


@contextlib.contextmanager
def socat(target: int, *options: str) -> Iterator[int]:
    """socat can not tell which port it took, so it is given a free one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = ["socat", *options, f"TCP-LISTEN:{port},bind=127.0.0.1,fork,nodelay"]
    with process([*argv, f"TCP:127.0.0.1:{target},nodelay"]):
        wait_for(port)
        yield port


def wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


def round_trip(port: int) -> float:
    """The median 1-byte round trip, in seconds."""
    times = []
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"e")
        for _ in range(ROUND_TRIPS):
            start = time.perf_counter()
            client.sendall(b"x")
            client.recv(1)
            times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:])


def throughput(port: int) -> float:
    """Bytes per second over one transfer, checked by the receiver's count."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"t")
        start = time.perf_counter()
        sent = 0
        while sent < TRANSFER:
            client.sendall(BLOCK)
            sent += len(BLOCK)
        client.shutdown(socket.SHUT_WR)
        assert int(client.recv(64)) == sent, "bytes were lost on the way"
        return sent / (time.perf_counter() - start)


def main() -> None:
    if shutil.which("socat") is None:
        raise SystemExit("this benchmark needs socat: install it by your system")
    with peer() as target, contextlib.ExitStack() as stack:
        ports = {
            "direct": target,
            "socat": stack.enter_context(socat(target)),
            "socat -b 262144": stack.enter_context(socat(target, "-b262144")),
            "Link": stack.enter_context(link(target)),
        }
        trips: dict[str, list[float]] = {name: [] for name in ports}
        rates: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(PAIRS):
            for name, port in ports.items():
                trips[name].append(round_trip(port))
                rates[name].append(throughput(port))
        report(trips, rates)


def report(trips: dict[str, list[float]], rates: dict[str, list[float]]) -> None:
    print(f"Medians of {PAIRS} interleaved rounds")
    print(f"{'path':<16} {'MB/s':>8} {'round trip':>12} {'added':>9}")
    direct = statistics.median(trips["direct"])
    for name in trips:
        trip = statistics.median(trips[name])
        rate = statistics.median(rates[name]) / 1e6
        added = (trip - direct) * 1e6
        print(f"{name:<16} {rate:>8.0f} {trip * 1e6:>9.1f} µs {added:>6.1f} µs")
    for other in ("socat", "socat -b 262144"):
        faster = statistics.median(
            ours / theirs
            for ours, theirs in zip(rates["Link"], rates[other], strict=True)
        )
        slower = statistics.median(
            (ours - base) / (theirs - base)
            for ours, theirs, base in zip(
                trips["Link"], trips[other], trips["direct"], strict=True
            )
        )
        print(f"Link / {other}: throughput {faster:.2f}, added round trip {slower:.2f}")


if __name__ == "__main__":
    main()
