"""Work that takes a while: a video, made up from its name, is compressed in steps."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable

from helpers.servers.job import WorkError

__all__ = ["compress_video"]

STEPS = 20
STEP_BYTES = 8192  # under 2 ms of work: the loop hardly notices
BROKEN = "broken"  # the name of the video that can not be read


async def compress_video(
    video: str, *, seconds: float, report: Callable[[float], object]
) -> dict[str, int]:
    """Compress for about ``seconds``; returns sizes, which depend on the name only.

    ``report`` is called with the part that is done, from 0 to 1. The waiting stands
    for the hours that a real video takes. Raises WorkError half-way through the video
    named "broken".
    """
    compressor = zlib.compressobj()
    compressed = 0
    for step in range(STEPS):
        await asyncio.sleep(seconds / STEPS)
        if video == BROKEN and step == STEPS // 2:
            raise WorkError("The video can not be read beyond its middle.")
        chance = random.Random(f"{video} {step}")
        piece = bytes(chance.choices(range(16), k=STEP_BYTES))
        compressed += len(compressor.compress(piece))
        report((step + 1) / STEPS)
    compressed += len(compressor.flush())
    return {"original_bytes": STEPS * STEP_BYTES, "compressed_bytes": compressed}
