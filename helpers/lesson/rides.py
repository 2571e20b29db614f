"""An upload over a road that breaks: one ride is one upload, with its own cuts.

The same seed gives the same road, whatever is uploaded over it and however.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping

from tusclient.client import TusClient

from helpers.network import Capture, Link
from helpers.servers.uploads import UploadServer

__all__ = ["in_chunks", "mean_time", "ride"]

Upload = Callable[[Link, bytes], Awaitable[object]]
TRIES = 500  # for one chunk; tuspy calls itself for each, so Python's depth bounds it


async def ride(upload: Upload, film: bytes, seed: int, **road: float) -> Capture:
    """Let ``upload(line, film)`` carry the film to a new server; what crossed.

    ``road`` goes to the Link: latency, bandwidth, cut_every, …
    """
    with UploadServer() as server, Link(server, seed=seed, **road) as line:
        await upload(line, film)
    return line.capture


async def mean_time(
    upload: Upload, film: bytes, road: Mapping[str, float], rides: int = 4
) -> float:
    """Seconds for one ride, on average over several at once, each with its own seed."""
    captures = await asyncio.gather(
        *(ride(upload, film, seed, **road) for seed in range(rides))
    )
    return sum(capture.duration for capture in captures) / rides


def in_chunks(chunk: int, check: bool) -> Upload:
    """An upload by tuspy, the Python client of the tus project, in ``chunk`` bytes.

    ``check`` sends a checksum with each chunk, so that the server keeps it only whole.
    """

    async def upload(line: Link, film: bytes) -> None:
        uploader = TusClient(line.make_url("/uploads")).uploader(
            file_stream=io.BytesIO(film),
            chunk_size=chunk,
            upload_checksum=check,
            retries=TRIES,
            retry_delay=0,
        )
        await asyncio.to_thread(uploader.upload)

    return upload
