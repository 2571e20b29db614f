"""Calling a client back: to which addresses, how often, and how the receiver can tell.

A server that sends requests to addresses which its clients choose can be made to reach
what only it can reach (server-side request forgery, SSRF). On the internet the answer
is to refuse all addresses of one's own network. This server lives on one machine with
its clients, so for once it is the other way round: loopback and nothing else. How to
check is the same: the address after parsing, by the parser that the request will use;
numbers only, so that no name can mean another machine a moment later; no redirects.
"""

from __future__ import annotations

import asyncio
import random

import aiohttp
from yarl import URL

from helpers.servers.problem import Problem

__all__ = ["CallbackSender", "check_callback"]

HOSTS = ("127.0.0.1", "::1")
MAX_ADDRESS = 500  # characters


def check_callback(address: object, *, own_port: int) -> str:
    """The address, if it may be called back. Raises Problem 422, which says why not."""
    if not isinstance(address, str) or len(address) > MAX_ADDRESS:
        raise _refused(f"is a text of at most {MAX_ADDRESS} characters")
    try:
        url = URL(address)
        host, port = url.host, url.port
    except ValueError:
        raise _refused("is an address as http://127.0.0.1:8000/done") from None
    if url.scheme != "http":
        raise _refused("begins with http://")
    if host not in HOSTS:
        raise _refused(f"goes to {' or '.join(HOSTS)}, written so, and nowhere else")
    if url.user is not None or url.password is not None:
        raise _refused("has no user and no password in it")
    if port == own_port:
        raise _refused("goes to a server of yours, not to this one")
    return address


def _refused(rule: str) -> Problem:
    return Problem(422, f"A callback {rule}.")


class CallbackSender:
    """Delivers at least once: an answer that was lost leads to one more try.

    At most ``tries`` requests of at most ``timeout`` seconds each. Between them it
    waits ``pause`` seconds, doubled each time, give or take a half that comes from
    ``seed``: receivers that failed together shall not be called together again.
    """

    def __init__(
        self,
        *,
        tries: int = 5,
        pause: float = 0.2,
        timeout: float = 5.0,
        seed: int = 0,
    ) -> None:
        self.tries = tries
        self.pause = pause
        self.timeout = timeout
        self._chances = random.Random(seed)

    async def deliver(self, address: str, name: str, document: object) -> bool:
        """POST the document until the answer is 2xx; whether it was.

        ``name`` goes along as Webhook-Id (so named by standardwebhooks.com), the same
        in each try: by it a receiver knows what it had before.
        """
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        async with aiohttp.ClientSession(
            headers={"Webhook-Id": name}, timeout=timeout
        ) as session:
            for attempt in range(self.tries):
                if attempt:
                    await asyncio.sleep(self._pause_before(attempt))
                if await _post(session, address, document):
                    return True
        return False

    def _pause_before(self, attempt: int) -> float:
        return self.pause * 2 ** (attempt - 1) * self._chances.uniform(0.5, 1.5)


async def _post(session: aiohttp.ClientSession, address: str, document: object) -> bool:
    """The body of the answer is nothing to us: the connection closes without it."""
    try:
        async with session.post(
            address, json=document, allow_redirects=False
        ) as response:
            return 200 <= response.status < 300
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
