"""Video: what the REST resource holds, its JSON, and what is refused as one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Self

from helpers.servers.problem import Problem

__all__ = ["Video", "etag", "parse_json"]

MAX_TITLE = 200
MAX_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Video:
    """A video; ``seconds`` is how long it plays."""

    title: str
    seconds: int

    @classmethod
    def from_json(cls, body: bytes, number: int | None = None) -> Self:
        """Raises Problem 400 for what is no JSON, 422 for JSON that is no video."""
        return cls.from_members(parse_json(body), number)

    @classmethod
    def from_members(cls, members: object, number: int | None = None) -> Self:
        if not isinstance(members, dict):
            raise Problem(422, "A video is a JSON object.")
        # Who sends back what GET gave has the id in it; it can not be changed.
        if "id" in members and members["id"] != number:
            raise Problem(422, f"The id is {number or 'for the server to choose'}.")
        if members.keys() - {"id"} != {"title", "seconds"}:
            raise Problem(422, "A video has the members title and seconds, no others.")
        title, seconds = members["title"], members["seconds"]
        if not isinstance(title, str) or not 1 <= len(title) <= MAX_TITLE:
            raise Problem(422, f"title is a text of 1 to {MAX_TITLE} characters.")
        # A bool is an int to Python, but not to JSON.
        if type(seconds) is not int or not 0 <= seconds <= MAX_SECONDS:
            raise Problem(422, f"seconds is a whole number from 0 to {MAX_SECONDS}.")
        return cls(title, seconds)

    def members(self, number: int) -> dict[str, object]:
        return {"id": number, **asdict(self)}

    def to_json(self, number: int) -> bytes:
        return json.dumps(self.members(number)).encode()

    def patched(self, patch: object, number: int) -> Video:
        """Apply a JSON Merge Patch: null removes a member, anything else sets it.

        RFC 7396, for a resource without nested objects.
        """
        if isinstance(patch, dict):
            merged = asdict(self) | patch
            patch = {key: value for key, value in merged.items() if value is not None}
        return self.from_members(patch, number)


def etag(body: bytes) -> str:
    """A strong ETag: the same tag means the same bytes (RFC 9110, section 8.8.1)."""
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def parse_json(body: bytes) -> object:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError too
        raise Problem(400, f"The body is not JSON: {error}") from None
