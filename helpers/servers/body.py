"""Reading a request's body, bounded in size and in patience.

Whoever waits for a client must say for how long. A client that sends one byte a
second is never silent for long, so a time-out on silence alone does not end it:
the body has to arrive at a minimum rate as well.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from helpers.servers.problem import Problem

__all__ = ["Body", "Pace", "read_body"]


@dataclass(frozen=True)
class Pace:
    """How slow a client may send its body before it gets 408.

    grace  seconds before the rate is asked for
    rate   bytes per second, on average since the body began
    idle   seconds of silence, however fast the client was before
    """

    grace: float = 10.0
    rate: float = 1000.0  # a fifth of a 56k modem
    idle: float = 30.0

    def deadline(self, began: float, now: float, received: int) -> float:
        """When the next bytes must be here: each byte buys 1/rate seconds more."""
        return min(now + self.idle, began + self.grace + received / self.rate)


class Body:
    """The chunks of a request's body as they arrive, for ``async for``.

    At most 512 KiB are held at once: aiohttp stops reading from the socket beyond
    that, and TCP then slows the client down.

    Raises :class:`Problem` 408 when the client is slower than ``pace``, 415 for a
    Content-Encoding, 400 when the body's framing is broken; ConnectionError or
    CancelledError when the client is gone.
    """

    def __init__(self, request: web.Request, pace: Pace) -> None:
        # aiohttp would decompress it, and a few bytes could become very many.
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Problem(
                415,
                "Send the body as it is, without Content-Encoding.",
                headers={"Accept-Encoding": "identity"},
            )
        self.received = 0
        self._content = request.content
        self._pace = pace
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        deadline = self._pace.deadline(self._began, self._clock(), self.received)
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await self._content.readany()
        except TimeoutError:
            raise Problem(
                408,
                f"Only {self.received} bytes of the body came in time. The least rate "
                f"is {self._pace.rate:g} bytes per second, the longest silence "
                f"{self._pace.idle:g} s.",
                close=True,
            ) from None
        except (web.RequestPayloadError, HttpProcessingError) as error:
            detail = f"The body is not what its headers say: {error}"
            raise Problem(400, detail, close=True) from None
        if not chunk:
            raise StopAsyncIteration
        self.received += len(chunk)
        return chunk


async def read_body(request: web.Request, *, limit: int, pace: Pace) -> bytes:
    """The whole body, when it is at most ``limit`` bytes; raises Problem 413 if not."""
    too_large = Problem(413, f"The body may have at most {limit} bytes.")
    if (request.content_length or 0) > limit:
        raise too_large
    collected = bytearray()
    async for chunk in Body(request, pace):
        collected += chunk
        if len(collected) > limit:  # a chunked body does not say its size before
            raise too_large
    return bytes(collected)
