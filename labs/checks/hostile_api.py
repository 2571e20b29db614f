"""An API that keeps a journal of its visits, and answers each as it was told to.

    GET, PUT, POST, DELETE /items/7    200, "item 7"

A reply is an async function of the visit and the request. Replies are dealt out by
item, one for each visit in turn; after the last, and to all others, the API answers
as a good one does:

    HostileAPI({7: [refuse(503), fall_silent]})

Who wants to judge order waits for conditions here, and not for times: a reply may
hold its visitor until others have come (:meth:`HostileAPI.until`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from helpers.lesson.check_process import time_scale
from helpers.server import HTTPServer

__all__ = [
    "HostileAPI",
    "Reply",
    "Visit",
    "cut",
    "fall_silent",
    "refuse",
    "text_of",
    "trickle",
]

# Nothing comes and nothing goes for so long: then nothing will. A client answers
# within milliseconds, and on a busy machine within tenths of a second.
QUIET = 2.0  # seconds


@dataclass
class Visit:
    """One request from when it came until it went. Times by ``time.monotonic``.

    ``attempt`` counts the visits to this item, from 1. ``outcome`` is the status
    that it got, or "given up" where the client hung up first, or "cut".
    """

    item: int
    method: str
    attempt: int
    came: float
    went: float | None = None
    outcome: str = ""

    @property
    def age(self) -> float:
        """How long it was here, or is by now, in seconds."""
        return (self.went or time.monotonic()) - self.came


Reply = Callable[[Visit, web.Request], Awaitable[web.StreamResponse]]


class HostileAPI(HTTPServer):
    """``replies``: for each item, what its first visits get in turn.

    ``otherwise`` is the reply to all other visits.
    """

    def __init__(
        self,
        replies: Mapping[int, Sequence[Reply]] | None = None,
        *,
        otherwise: Reply | None = None,
    ) -> None:
        super().__init__()
        self.visits: list[Visit] = []
        self.peak = 0
        self.stalled: int | None = None
        self.signalled: float | None = None
        self.here = 0
        self._replies = replies or {}
        self._otherwise = otherwise or answer
        self._looked = False
        self._changed = asyncio.Event()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.route("*", r"/items/{item:\d+}", self.visit),
            web.get("/signal", self.signal),
        ]

    async def visit(self, request: web.Request) -> web.StreamResponse:
        item = int(request.match_info["item"])
        attempt = 1 + self.attempts(item)
        visit = Visit(item, request.method, attempt, time.monotonic())
        dealt = self._replies.get(item, ())
        reply = dealt[attempt - 1] if attempt <= len(dealt) else self._otherwise
        self.visits.append(visit)
        self.here += 1
        self.peak = max(self.peak, self.here)
        self._tell()
        try:
            response = await reply(visit, request)
            visit.outcome = str(response.status)
            return response
        except asyncio.CancelledError:
            visit.outcome = visit.outcome or "given up"
            raise
        finally:
            # Before the answer is on its way: nobody can come back and be counted
            # beside himself.
            self.here -= 1
            visit.went = time.monotonic()
            self._tell()

    async def signal(self, _: web.Request) -> web.Response:
        """Answers when somebody is here, and nobody comes any more."""
        await self.until(lambda: self.here > 0, quiet=5 * QUIET)
        await self.until(lambda: False, quiet=QUIET / 4)
        self.signalled = time.monotonic()
        return web.Response()

    # -- waiting for others -----------------------------------------------------------

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def until(
        self, condition: Callable[[], bool], *, quiet: float = QUIET
    ) -> bool:
        """Wait until ``condition()``; False once nobody came or went for ``quiet`` s.

        Of several that wait for one condition, who is let go may change it for the
        next: they are asked one by one.
        """
        while not condition():
            try:
                async with asyncio.timeout(quiet * time_scale()):
                    await self._changed.wait()
            except TimeoutError:
                return False
        return True

    async def until_over(self, most: int) -> None:
        """Hold the first crowd for a moment: does it grow beyond ``most``?"""
        if not self._looked:
            await self.until(lambda: self._looked or self.here > most, quiet=0.3)
            self._looked = True

    async def until_full(self, most: int, *, total: int) -> None:
        """Let go of one visitor at a time, each only while ``most`` are here.

        While fewer than ``most`` of ``total`` are left, these few are enough. When
        nobody comes to take a place that is free, ``stalled`` says how many are here,
        and nobody is let go any more.
        """

        def full() -> bool:
            gone = len(self.visits) - self.here
            return self.here >= min(most, total - gone)

        if not await self.until(full):
            await self.stall()

    async def stall(self) -> None:
        """Say how many are here, and let nobody go."""
        self.stalled = self.here
        await fall_silent()

    # -- what the journal says --------------------------------------------------------

    @property
    def capture(self) -> list[Visit]:
        """What is drawn when a run failed."""
        return self.visits

    def has_stalled(self) -> bool:
        """Whether somebody was waited for who never came."""
        return self.stalled is not None

    def of(self, item: int) -> list[Visit]:
        """The visits to one item, in order."""
        return [visit for visit in list(self.visits) if visit.item == item]

    def attempts(self, item: int) -> int:
        return len(self.of(item))

    def longest(self) -> float:
        """The age of the visit that was here longest, in seconds."""
        return max((visit.age for visit in list(self.visits)), default=0.0)

    def since(self, moment: float) -> int:
        """How many came after ``moment``."""
        return sum(visit.came > moment for visit in list(self.visits))


# -- replies --------------------------------------------------------------------------


def text_of(item: int) -> str:
    """What a good API says about this item."""
    return f"item {item}"


async def answer(visit: Visit, _: web.Request) -> web.Response:
    return web.Response(text=text_of(visit.item))


async def fall_silent(*_: object) -> web.StreamResponse:
    """Until the client hangs up or the server stops: both cancel the handler."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


async def trickle(_: Visit, request: web.Request) -> web.StreamResponse:
    """A byte now and then, and never an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(0.1)


async def cut(visit: Visit, request: web.Request) -> web.StreamResponse:
    """The connection breaks, and no answer comes."""
    visit.outcome = "cut"
    request.transport.abort()
    return await fall_silent()


def refuse(status: int) -> Reply:
    """A reply with this status."""

    async def reply(*_: object) -> web.Response:
        return web.Response(status=status, text=f"refused with {status}")

    return reply
