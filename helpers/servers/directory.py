"""Who is who, and what they have: three addresses that a client must ask in turn.

    GET /users/7            {"id": 7, "name": "Ada"}
    GET /users/7/videos     ["Notes on an engine", ...]
    GET /users/7/friends    ["Grace", "Alan"]

The videos of user 13 answer with 500: every workflow has its error path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

from helpers.servers.problem import Problem, ProblemServer

__all__ = ["DirectoryServer", "Lookup"]

REMEMBERED = 10_000  # requests


@dataclass(frozen=True)
class User:
    name: str
    videos: tuple[str, ...] = ()
    friends: tuple[str, ...] = ()
    broken: bool = False


USERS = {
    7: User("Ada", ("Notes on an engine", "Poetical science"), ("Charles", "Mary")),
    8: User("Grace", ("A nanosecond of wire",), ("Howard", "Jean", "Betty")),
    9: User("Alan"),
    13: User("Murphy", ("What can go wrong",), ("Ada",), broken=True),
}


class Lookup(NamedTuple):
    """One request, with when it came and was answered (``time.perf_counter``)."""

    path: str
    started: float
    ended: float


class DirectoryServer(ProblemServer):
    """Answers each request after ``delay`` seconds; ``log`` tells which came when.

    The users are 7, 8, 9, and 13, whose videos fail.
    """

    def __init__(self, delay: float = 0.05, **server: object) -> None:
        super().__init__(**server)
        if not 0 <= delay < float("inf"):
            raise ValueError(f"delay is in seconds, zero or more; not {delay!r}")
        self.delay = delay
        self.log: list[Lookup] = []

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        user = "/users/{id:[0-9]{1,9}}"
        return [
            web.get(user, self.user),
            web.get(user + "/videos", self.videos),
            web.get(user + "/friends", self.friends),
        ]

    async def user(self, request: web.Request) -> web.Response:
        user = await self._look_up(request)
        number = int(request.match_info["id"])
        return web.json_response({"id": number, "name": user.name})

    async def videos(self, request: web.Request) -> web.Response:
        user = await self._look_up(request)
        if user.broken:
            raise Problem(500, f"The shelf with {user.name}'s videos fell over.")
        return web.json_response(user.videos)

    async def friends(self, request: web.Request) -> web.Response:
        return web.json_response((await self._look_up(request)).friends)

    async def _look_up(self, request: web.Request) -> User:
        started = time.perf_counter()
        try:
            await asyncio.sleep(self.delay)
        finally:  # also when the client left
            self.log.append(Lookup(request.path, started, time.perf_counter()))
            del self.log[:-REMEMBERED]
        number = int(request.match_info["id"])
        if number not in USERS:
            known = ", ".join(map(str, USERS))
            raise Problem(404, f"There is no user {number}; there are {known}.")
        return USERS[number]
