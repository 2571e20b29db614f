"""VideoServer: a REST resource, as RFC 9110 means its methods.

    GET     /videos        the collection, page by page
    POST    /videos        create; the server chooses the address: 201, Location
    GET     /videos/1      one video, with its ETag; HEAD the same without the body
    PUT     /videos/1      create or replace; may be repeated
    PATCH   /videos/1      change some members (JSON Merge Patch, RFC 7396)
    DELETE  /videos/1      may be repeated

What may be repeated when an answer was lost? GET, HEAD, OPTIONS, PUT, and DELETE
(section 9.2.2). POST makes a second video, unless it carries an Idempotency-Key.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from helpers.servers.body import Pace, read_body
from helpers.servers.fields import (
    check_preconditions,
    require_accepts,
    require_content_type,
)
from helpers.servers.problem import Problem, ProblemServer
from helpers.servers.video import Video, etag, parse_json

__all__ = ["VideoServer"]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
MAX_KEY = 255
KEPT_KEYS = 1000
PAGE = 20
MAX_PAGE = 100


SEEDED = {
    1: Video("What a request looks like", 212),
    2: Video("Polling, explained by a kettle", 95),
    3: Video("A socket that stays open", 341),
}


class VideoServer(ProblemServer):
    """Videos in memory: ``/videos/1`` to ``/videos/3`` exist at the start.

    With ``require_if_match`` a change of what exists needs an If-Match, or is
    refused by 428 (RFC 6585, section 3): nobody overwrites what they did not see.
    """

    max_body = 16 * 1024
    max_videos = 1000
    pace = Pace()

    def __init__(self, *, require_if_match: bool = False, **server: Any) -> None:
        super().__init__(**server)
        self.require_if_match = require_if_match
        self.videos = dict(SEEDED)
        self._answers: OrderedDict[str, tuple[bytes, int]] = OrderedDict()
        self._last_id = max(SEEDED)

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        item = "/videos/{id:[1-9][0-9]{0,8}}"
        return [
            web.get("/videos", self.page),
            web.post("/videos", self.create),
            web.options("/videos", self.options),
            web.get(item, self.get),  # aiohttp answers HEAD by it, without the body
            web.put(item, self.put),
            web.patch(item, self.patch),
            web.delete(item, self.delete),
            web.options(item, self.options),
        ]

    # -- the collection ------------------------------------------------------------

    async def page(self, request: web.Request) -> web.Response:
        """A page: ``?limit=`` so many, ``?after=`` the last id of the page before."""
        require_accepts(request, JSON)
        limit = min(query_number(request, "limit", PAGE), MAX_PAGE)
        after = query_number(request, "after", 0)
        ids = sorted(i for i in self.videos if i > after)
        answer: dict[str, object] = {
            "videos": [self.videos[i].members(i) for i in ids[:limit]]
        }
        if ids[limit:] and limit:
            answer["next"] = f"/videos?limit={limit}&after={ids[limit - 1]}"
        return web.Response(body=json.dumps(answer).encode(), content_type=JSON)

    async def create(self, request: web.Request) -> web.Response:
        require_accepts(request, JSON)
        body = await self._read(request, JSON)
        video = Video.from_json(body)
        key = idempotency_key(request)
        if key in self._answers:
            return self._answer_again(key, body)
        number = self._next_id()
        self._store(number, video)
        self._last_id = number
        if key is not None:
            self._remember_answer(key, body, number)
        return created(number, video)

    def _remember_answer(self, key: str, body: bytes, number: int) -> None:
        self._answers[key] = (hashlib.sha256(body).digest(), number)
        if len(self._answers) > KEPT_KEYS:
            self._answers.popitem(last=False)

    def _answer_again(self, key: str, body: bytes) -> web.Response:
        """The same key and body: the answer of the first time, and no new video."""
        digest, number = self._answers[key]
        if digest != hashlib.sha256(body).digest():
            raise Problem(
                422,
                "This Idempotency-Key came with another body before. Use a new one.",
            )
        return created(number, Video.from_json(body))

    # -- one video -----------------------------------------------------------------

    async def get(self, request: web.Request) -> web.Response:
        require_accepts(request, JSON)
        number, video = self._find(request)
        tag = etag(video.to_json(number))
        if not check_preconditions(request, tag):
            return web.Response(status=304, headers={"ETag": tag})
        return answer(number, video)

    async def put(self, request: web.Request) -> web.Response:
        """Idempotent: the second time the video is what it already was.

        Its answer shows what is now stored, with that one's ETag. RFC 9110, section
        9.3.4 would have none where the server changed what it was sent; here it only
        adds the id, which the address says already.
        """
        require_accepts(request, JSON)
        number = int(request.match_info["id"])
        video = Video.from_json(await self._read(request, JSON), number)
        existed = number in self.videos
        self._check(request, number)
        self._store(number, video)
        return answer(number, video) if existed else created(number, video)

    async def patch(self, request: web.Request) -> web.Response:
        """A merge patch: the members that are named change, the others stay.

        PATCH promises nothing about repeating (RFC 5789, section 2). With If-Match
        it changes only what the client saw.
        """
        require_accepts(request, JSON)
        self._find(request)
        body = await self._read(request, MERGE_PATCH)
        number, video = self._find(request)  # it may have changed while we read
        self._check(request, number)
        patched = video.patched(parse_json(body), number)
        self._store(number, patched)
        return answer(number, patched)

    async def delete(self, request: web.Request) -> web.Response:
        """204, and 404 the second time.

        Idempotent speaks of the effect, not of the answer (RFC 9110, 9.2.2): the
        video is gone after one DELETE as after two. A client that repeats because
        the first answer was lost may take 404 for success.
        """
        number, _ = self._find(request)
        self._check(request, number)
        del self.videos[number]
        return web.Response(status=204)

    async def options(self, request: web.Request) -> web.Response:
        methods = {route.method for route in request.match_info.route.resource}
        headers = {"Allow": ", ".join(sorted(methods))}
        if "PATCH" in methods:
            headers["Accept-Patch"] = MERGE_PATCH  # RFC 5789, section 3.1
        return web.Response(status=204, headers=headers)

    # -- what several methods need -------------------------------------------------

    def _find(self, request: web.Request) -> tuple[int, Video]:
        number = int(request.match_info["id"])
        if number not in self.videos:
            raise Problem(404, f"There is no video {number}.")
        return number, self.videos[number]

    def _store(self, number: int, video: Video) -> None:
        if number not in self.videos and len(self.videos) >= self.max_videos:
            raise Problem(507, f"{self.max_videos} videos is all there is room for.")
        self.videos[number] = video

    def _next_id(self) -> int:
        """No id is given twice, or an old link would show a new video."""
        numbers = itertools.count(self._last_id + 1)
        return next(number for number in numbers if number not in self.videos)

    async def _read(self, request: web.Request, media_type: str) -> bytes:
        require_content_type(request, media_type)
        return await read_body(request, limit=self.max_body, pace=self.pace)

    def _check(self, request: web.Request, number: int) -> None:
        video = self.videos.get(number)
        if video is None:
            check_preconditions(request, None)
            return
        if self.require_if_match and "If-Match" not in request.headers:
            raise Problem(428, "Send If-Match with the ETag that you saw.")
        check_preconditions(request, etag(video.to_json(number)))


# -- answers and parameters ----------------------------------------------------------


def answer(number: int, video: Video, status: int = 200) -> web.Response:
    body = video.to_json(number)
    headers = {"ETag": etag(body)}
    return web.Response(body=body, status=status, headers=headers, content_type=JSON)


def created(number: int, video: Video) -> web.Response:
    response = answer(number, video, status=201)
    response.headers["Location"] = f"/videos/{number}"
    return response


def query_number(request: web.Request, name: str, default: int) -> int:
    value = request.query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", value):
        raise Problem(400, f"{name} is a whole number, not {value[:20]!r}.")
    return int(value)


def idempotency_key(request: web.Request) -> str | None:
    """As the IETF draft on the Idempotency-Key header has it, in any syntax."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise Problem(400, f"An Idempotency-Key has 1 to {MAX_KEY} characters.")
    return key
