"""Visitors of the shop in lab 2: one has to wait, and others look in meanwhile.

This runs in the child, beside the learner's server. What the shop waits for is in
our hands here: a file is a named pipe that gives nothing until told, and the bank
answers when told. So it is a matter of order, not of time, who is served while
another waits.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from helpers.server import HTTPServer

__all__ = ["Crowd", "Served", "crowd", "login", "price", "subtitles"]

# So many greetings while another visitor waits show that the loop is free. Before a
# loop that blocks comes to him, and when it is done with him, one each can slip in.
GREETINGS = 4
ROUNDS = 3  # for what can not be made to wait
# Nothing moves for so long: then nothing will. Free, it takes milliseconds.
PATIENCE = 3.0  # seconds
# asyncio.to_thread() has 5 threads at least.
NAMES = ["english.txt", "french.txt", "german.txt", "greek.txt"]

ITERATIONS = 600_000

Answer = tuple[int, str]
Stay = tuple[str, float, float, str]  # who, start, end, outcome


class Served(NamedTuple):
    """What one visitor saw.

    ``worked`` says whether the shop did what it had to: read the file, ask the bank.
    ``greeted`` counts those who were served meanwhile. ``error`` is the shop's own.
    """

    status: int
    text: str
    expected: str
    worked: bool
    greeted: int
    stays: list[Stay]
    error: str


class Crowd(NamedTuple):
    """What several visitors at once saw, and what stayed when the shop had stopped.

    ``files`` and ``prices`` count those for whom it worked at the same time.
    """

    files: int
    prices: int
    mixed_up: list[str]
    threads: list[str]
    connections: int


# -- what the shop waits for ----------------------------------------------------------


class Bank:
    """Another server, which knows the price. It answers once ``gate`` is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        price = f"{self.asked}.99"
        await self.gate.wait()
        return web.Response(text=price)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.add_routes([web.get("/", self.answer)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        finally:
            await self._runner.cleanup()

    @property
    def connections(self) -> int:
        return len(self._runner.server.connections)


class Pipe:
    """A file that gives its text when told, and nothing before."""

    def __init__(self, path: Path) -> None:
        self.text = f"subtitles in {path.name}, {os.urandom(4).hex()}"
        self._path = path
        self._fd: int | None = None
        self._given = False
        os.mkfifo(path)

    def is_read(self) -> bool:
        """Whether somebody has opened it to read."""
        if self._fd is None:
            try:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # what it says when nobody reads
                    raise
        return self._fd is not None

    def give(self) -> None:
        """To who reads; nothing while nobody does."""
        if self.is_read() and not self._given:
            self._given = True
            os.write(self._fd, self.text.encode())
            os.close(self._fd)


# -- how it is visited ----------------------------------------------------------------


class Visit:
    """A shop that runs, its bank, its folder, and our client."""

    def __init__(
        self, shop: HTTPServer, bank: Bank, folder: Path, client: aiohttp.ClientSession
    ) -> None:
        self.shop, self.bank, self.folder, self.client = shop, bank, folder, client

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        url = self.shop.make_url(path)
        async with self.client.request(method, url, **more) as response:
            return response.status, await response.text()

    async def serve(
        self,
        visitor: Coroutine[Any, Any, Answer],
        expected: str,
        *,
        works: Callable[[], bool] = lambda: True,
        let_go: Callable[[], object] = int,
    ) -> Served:
        """Send the visitor in, greet while he waits, and let him go."""
        # Two connections before, so that what comes next goes out at once.
        await asyncio.gather(self.ask("GET", "/"), self.ask("GET", "/"))
        began, visiting = time.monotonic(), asyncio.create_task(visitor)
        await until(lambda: works() or visiting.done())
        worked = works()
        stays = await self._greet_while(visiting)
        greeted = sum(outcome == "served" for *_, outcome in stays)
        await until(lambda: let_go() or visiting.done(), patience=float("inf"))
        status, text = await visiting
        stays.insert(0, ("the visitor", began, time.monotonic(), f"got {status}"))
        error = repr(self.shop.errors[-1]) if self.shop.errors else ""
        return Served(status, text, expected, worked, greeted, stays, error)

    async def _greet_while(self, visiting: asyncio.Task) -> list[Stay]:
        stays: list[Stay] = []
        while len(stays) < GREETINGS and not visiting.done():
            start = time.monotonic()
            greeting = asyncio.create_task(self.ask("GET", "/"))
            await asyncio.wait([greeting], timeout=PATIENCE)
            served = greeting.done() and not visiting.done()
            outcome = "served" if served else "had to wait"
            stays.append((f"hello {len(stays) + 1}", start, time.monotonic(), outcome))
            if not served:
                greeting.cancel()
                break
        return stays

    async def serve_all(
        self,
        visitors: list[Coroutine[Any, Any, Answer]],
        working: Callable[[], int],
        let_go: Callable[[], object],
    ) -> tuple[int, list[str]]:
        """Send all in at once; for how many it worked at once, and their answers."""
        visiting = asyncio.gather(*visitors)
        await until(lambda: visiting.done() or working() == len(visitors))
        together = working()
        await until(lambda: let_go() or visiting.done(), patience=float("inf"))
        return together, [text for _, text in await visiting]


@asynccontextmanager
async def visit(make_shop: Callable[[Path, str], HTTPServer]) -> AsyncIterator[Visit]:
    os.environ["no_proxy"] = "*"  # what is on loopback goes through no proxy
    bank = Bank()
    with tempfile.TemporaryDirectory(prefix="lab2-") as folder:
        async with bank.serving() as address, aiohttp.ClientSession() as client:
            with make_shop(Path(folder), address) as shop:
                yield Visit(shop, bank, Path(folder), client)


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until ``condition()``, but no longer than ``patience`` seconds."""
    end = time.monotonic() + patience
    # Asked again and again, for who opens a pipe rings no bell.
    while not condition() and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


# -- the visits -----------------------------------------------------------------------


async def subtitles(make_shop: Callable) -> Served:
    """Somebody asks for a file on a disk that is slow."""
    async with visit(make_shop) as here:
        pipe = Pipe(here.folder / NAMES[0])
        visitor = here.ask("GET", f"/subtitles/{NAMES[0]}")
        return await here.serve(
            visitor, pipe.text, works=pipe.is_read, let_go=pipe.give
        )


async def price(make_shop: Callable) -> Served:
    """Somebody asks for the price, and the bank takes its time."""
    async with visit(make_shop) as here:
        bank = here.bank
        visitor = here.ask("GET", "/price")
        return await here.serve(
            visitor, "1.99", works=lambda: bank.asked > 0, let_go=bank.gate.set
        )


async def login(make_shop: Callable) -> Served:
    """Somebody logs in, which takes some computing."""
    async with visit(make_shop) as here:
        for _ in range(ROUNDS):
            password = os.urandom(8)
            key = hashlib.pbkdf2_hmac("sha256", password, b"salt", ITERATIONS)
            visitor = here.ask("POST", "/login", data=password)
            served = await here.serve(visitor, key.hex())
            if served.greeted == GREETINGS or served.text != served.expected:
                break
        return served


async def crowd(make_shop: Callable) -> Crowd:
    """Several at once, each for a file of his own; then several for the price."""
    before = set(threading.enumerate())
    async with visit(make_shop) as here:
        bank, pipes = here.bank, [Pipe(here.folder / name) for name in NAMES]
        files, texts = await here.serve_all(
            [here.ask("GET", f"/subtitles/{name}") for name in NAMES],
            lambda: sum(pipe.is_read() for pipe in pipes),
            lambda: [pipe.give() for pipe in pipes] and None,
        )
        prices, told = await here.serve_all(
            [here.ask("GET", "/price") for _ in NAMES],
            lambda: bank.asked,
            bank.gate.set,
        )
        here.shop.stop()
        await until(lambda: bank.connections == 0)
        threads = sorted({t.name for t in set(threading.enumerate()) - before})
        expected = {pipe.text for pipe in pipes} | {
            f"{count}.99" for count in range(1, len(NAMES) + 1)
        }
        mixed_up = sorted(expected - {*texts, *told})
        return Crowd(files, prices, mixed_up, threads, bank.connections)
