"""1,000 requests that each wait 100 ms at AsyncServer, by four clients, side by side.

Client and server share this process and its interpreter lock, as in the notebook.
Physics asks for 0.1 s, since all can wait at once: what comes on top is the price of
handling 1,000 requests. Each figure is the median over interleaved rounds.

AsyncServer closes each connection after its answer. For httpx it matters whether that
is so: it also asks a server of aiohttp that keeps them.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import httpx
from aiohttp import web

from helpers.measure import closed_loop
from helpers.server import HTTPServer
from helpers.servers.concurrency import AsyncServer
from helpers.servers.database import Database

ROUNDS = 5
WAIT = 0.1
BAR = 8  # times WAIT, for aiohttp at 1,000 requests
COUNTS = (100, 400, 1000)
HTTPX_CLIENTS = 20
SLOW = 400  # from so many requests on, httpx is asked once

Ask = Callable[[], Awaitable[object]]


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Ask]:
    address = httpx.URL(url)
    request = f"GET / HTTP/1.1\r\nHost: {address.netloc.decode()}\r\n\r\n".encode()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200 "), answer

    yield ask


@asynccontextmanager
async def with_aiohttp(url: str) -> AsyncIterator[Ask]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask() -> None:
            async with session.get(url) as answer:
                answer.raise_for_status()
                await answer.read()

        yield ask


@asynccontextmanager
async def with_httpx(url: str, clients: int = 1) -> AsyncIterator[Ask]:
    """``clients`` that take turns, each without a limit of its own."""
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with AsyncExitStack() as stack:
        pools = [
            await stack.enter_async_context(
                # Without TLS, whose set-up would take most of the time here.
                httpx.AsyncClient(
                    limits=unlimited, timeout=120, trust_env=False, verify=False
                )
            )
            for _ in range(clients)
        ]
        turns = itertools.cycle(pools)

        async def ask() -> None:
            answer = await next(turns).get(url)
            answer.raise_for_status()

        yield ask


def with_many_httpx(url: str) -> AsyncIterator[Ask]:
    return with_httpx(url, HTTPX_CLIENTS)


async def total(client: Callable, url: str, count: int) -> float:
    """Seconds for ``count`` requests at once, a client's start not counted."""
    async with client(url) as ask:
        result = await closed_loop(ask, clients=count, requests=count, progress=False)
    if result.errors:
        raise RuntimeError(f"the load met errors: {result.errors}")
    return result.elapsed


database = Database()


async def handler(path: str) -> str:
    return await database.query_async(WAIT)


class KeepingServer(HTTPServer):
    """The same handler behind aiohttp, whose connections stay open."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        return web.Response(text=await handler(request.path))


CLIENTS = {
    "raw asyncio": raw,
    "aiohttp": with_aiohttp,
    "httpx": with_httpx,
    f"{HTTPX_CLIENTS} httpx clients": with_many_httpx,
    "httpx, connections kept": with_httpx,
    f"{HTTPX_CLIENTS} httpx clients, kept": with_many_httpx,
}


def main() -> None:
    totals: dict[tuple[str, int], list[float]] = {}
    with AsyncServer(handler) as closing, KeepingServer() as keeping:
        for number, count in itertools.product(range(ROUNDS), COUNTS):
            for name, client in CLIENTS.items():
                if "httpx" in name and count >= SLOW and number > 0:
                    continue
                url = (keeping if "kept" in name else closing).make_url("/")
                taken = asyncio.run(total(client, url, count))
                totals.setdefault((name, count), []).append(taken)
    report(totals)


def report(totals: dict[tuple[str, int], list[float]]) -> None:
    print(f"Total as a multiple of the {WAIT:g} s that each waits; medians of {ROUNDS}")
    print(f"{'client':<24}" + "".join(f"{count:>7,} req." for count in COUNTS))
    for name in CLIENTS:
        medians = (statistics.median(totals[name, count]) for count in COUNTS)
        print(f"{name:<24}" + "".join(f"{taken / WAIT:>12.1f}" for taken in medians))
    times = statistics.median(totals["aiohttp", COUNTS[-1]]) / WAIT
    verdict = "kept" if times <= BAR else "MISSED"
    print(f"aiohttp at {COUNTS[-1]:,}: {times:.1f} times, the bar is {BAR}: {verdict}")
    print(NOTE)


NOTE = f"""
httpx ran once from {SLOW} requests on. For each request that begins or ends, its pool
looks through all its connections, and for each idle one among them through all again
(httpcore 1.0, _assign_requests_to_connections). A server that closes its connections
leaves no idle ones, and of more clients each has a shorter list. httpx is the client
to read, aiohttp the one to load with."""


if __name__ == "__main__":
    main()
