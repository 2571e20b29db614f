"""helpers.servers.compression"""

import asyncio

import pytest

from helpers.servers.compression import compress_video
from helpers.servers.job import WorkError


def compress(video):
    progress = []
    work = compress_video(video, seconds=0, report=progress.append)
    return asyncio.run(work), progress


def test_the_result_depends_on_the_name_only():
    """The same name, the same sizes; another name, others."""
    (cats, _), (again, _), (dogs, _) = map(compress, ("cats", "cats", "dogs"))
    assert cats == again != dogs
    assert 0 < cats["compressed_bytes"] < cats["original_bytes"]


def test_it_reports_from_begin_to_end():
    """In steps, up to 1."""
    _, progress = compress("cats")
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert len(progress) > 10


def test_a_broken_video_fails_half_way():
    """The error is for the client."""
    progress = []
    with pytest.raises(WorkError, match="beyond its middle"):
        asyncio.run(compress_video("broken", seconds=0, report=progress.append))
    assert progress[-1] == 0.5
