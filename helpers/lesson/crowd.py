"""crowd: many clients that ask one server at the same time."""

from __future__ import annotations

import aiohttp

from helpers.measure import Result, closed_loop
from helpers.server import Startable

__all__ = ["crowd"]


async def crowd(
    server: Startable, clients: int, *, requests: int | None = None, warm_up: int = 0
) -> Result:
    """``clients`` ask for ``/``, once each unless ``requests`` says how often in all.

    By aiohttp and not by httpx, which looks through all its connections for each
    request: with a thousand of them that takes far longer than the answers do.
    """
    # As many connections as there are clients; aiohttp stops at 100 unless told.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, raise_for_status=True
    ) as session:

        async def ask() -> None:
            async with session.get(server.url) as answer:
                await answer.read()

        return await closed_loop(
            ask, clients=clients, requests=requests or clients, warm_up=warm_up
        )
