"""How long one thing took.

For one thing at a time; many requests are what load.py is for:

    with timed() as upload:
        httpx.put(url, content=video)
    upload.seconds
"""

from __future__ import annotations

from time import perf_counter
from typing import Self

from helpers.measure.units import seconds

__all__ = ["timed"]


class timed:  # small letters, for it reads as a verb: `with timed() as upload`
    """A context manager that times its block; shows itself as ``12.3 ms``.

    Inside the block ``seconds`` is the time so far, after it the time it took.
    """

    def __enter__(self) -> Self:
        self._end: float | None = None
        self._start = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._end = perf_counter()

    @property
    def seconds(self) -> float:
        return (self._end or perf_counter()) - self._start

    def __repr__(self) -> str:
        return seconds(self.seconds)
