"""Server against bare aiohttp: the same hello, each in a process of its own, by wrk.

The figure is the median over interleaved pairs of requests per second.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator

from aiohttp import web

from helpers.server import BACKLOG, HTTPServer

PAIRS = 7
WRK = ["wrk", "-t1", "-c32", "-d3s"]
WARM_UP = ["wrk", "-t1", "-c32", "-d1s"]
BARE = "from tests.benchmarks import bench_server as b; b.bare_main()"


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


class Hello(HTTPServer):
    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", hello)]


async def serve_bare() -> None:
    """What Server would be without us: the runner, the site, and the same backlog."""
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG).start()
    print(runner.addresses[0][1], flush=True)


def bare_main() -> None:
    import asyncio

    loop = asyncio.new_event_loop()
    loop.run_until_complete(serve_bare())
    loop.run_forever()


@contextlib.contextmanager
def bare() -> Iterator[str]:
    argv = [sys.executable, "-c", BARE]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.kill()


def requests_per_second(url: str, wrk: list[str] = WRK) -> float:
    """What wrk counts. Raises RuntimeError when an answer was not a good one."""
    report = subprocess.run(
        [*wrk, url], check=True, capture_output=True, text=True
    ).stdout
    if "Socket errors" in report or "Non-2xx" in report:
        raise RuntimeError(f"wrk met errors:\n{report}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", report)[1])


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk: install it by your system")
    with bare() as bare_url, Hello.in_process() as server:
        urls = {"bare aiohttp": bare_url, "Server in a process": server.make_url("/")}
        rates: dict[str, list[float]] = {name: [] for name in urls}
        for url in urls.values():
            requests_per_second(url, WARM_UP)
        for turn in range(PAIRS):
            # Each goes first as often as the other.
            for name in sorted(urls, reverse=bool(turn % 2)):
                rates[name].append(requests_per_second(urls[name]))
    report(rates)


def report(rates: dict[str, list[float]]) -> None:
    print(f"Medians of {PAIRS} interleaved pairs, {' '.join(WRK)}")
    for name, values in rates.items():
        print(f"{name:<20} {statistics.median(values):>8,.0f} requests/s")
    bare_rates, ours = rates.values()
    ratio = statistics.median(a / b for a, b in zip(ours, bare_rates, strict=True))
    print(f"Server / bare aiohttp: {ratio:.3f} (wanted: at least 0.95)")


if __name__ == "__main__":
    main()
