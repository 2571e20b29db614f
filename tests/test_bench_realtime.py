"""tests.benchmarks.bench_realtime, with two subscribers"""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("uvloop")
from tests.benchmarks import bench_realtime
from tests.benchmarks.bare_scores import Bare, Driven
from tests.benchmarks.bench_realtime import WAYS, Crowd, Size


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """So little that it shows only whether all of it works."""
    size = Size(burst=3, bursts=2, polls=20, events=3, pause=0.01)
    monkeypatch.setattr(bench_realtime, "SIZES", {2: size})
    monkeypatch.setattr(bench_realtime, "POLL_EVERY", 0.05)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [Driven, Bare])
def test_each_way_is_measured_at_both_servers(kind, way):
    """Every event reaches each subscriber once, and its age is known."""

    async def measure(port: int) -> None:
        crowd = Crowd(port, way, subscribers=2)
        async with crowd.connected():
            assert await crowd.rate() > 0
            p50, p99 = await crowd.freshness()
        assert 0 < p50 <= p99
        # The first event of that crowd is the warm-up; then each of the three.
        assert len(crowd.heard.ages) == 2 * 3
        assert crowd.heard.count == crowd.published * 2

    with kind() as server:
        asyncio.run(measure(server.port))
        assert not server.errors
