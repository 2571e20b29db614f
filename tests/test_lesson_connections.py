"""helpers.lesson.connections"""

from __future__ import annotations

import asyncio
import math
import sys

import psutil
import pytest

from helpers.lesson import connections
from helpers.lesson.connections import (
    SERVERS,
    ConnectionCost,
    connection_costs,
)
from helpers.server import HTTPServer


def measure(*args, **kwargs) -> list[ConnectionCost]:
    return asyncio.run(connection_costs(*args, progress=False, **kwargs))


def test_the_servers_are_in_their_order_of_memory():
    """Compression costs most, a bare protocol least; by more than noise."""
    costs = {cost.server: cost for cost in measure(500)}
    assert list(costs) == list(SERVERS)
    compressed, plain, aiohttp, lean = (cost.user_bytes for cost in costs.values())
    assert compressed > 2 * plain
    assert min(plain, aiohttp) > 3 * lean
    assert lean > 300  # it has objects, after all
    assert all(cost.n == 500 and cost.seconds > 0 for cost in costs.values())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_kernels_part_is_one_figure_for_all():
    """Two sockets take some kB; what a process does with one makes it no larger."""
    lean = SERVERS["lean asyncio.Protocol"]
    costs = measure(1000, servers={"one": lean, "two": lean, "three": lean})
    kernel = {cost.kernel_bytes for cost in costs}
    assert len(kernel) == 1 or all(map(math.isnan, kernel))


def test_nothing_is_left():
    """No process, no descriptor, and the limit as it was."""
    resource = pytest.importorskip("resource")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    process = psutil.Process()
    measure(100, servers={"lean": SERVERS["lean asyncio.Protocol"]})
    descriptors, children = process.num_fds(), process.children()
    measure(100, servers={"lean": SERVERS["lean asyncio.Protocol"]})
    assert process.num_fds() <= descriptors
    assert set(process.children()) <= set(children)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limit


def test_a_cancelled_one_ends_its_server():
    """And closes what it opened."""
    process = psutil.Process()
    before = set(process.children())

    async def cancel_it() -> int:
        running = asyncio.create_task(connection_costs(2000, progress=False))
        while not (set(process.children()) - before):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return process.num_fds()

    assert asyncio.run(cancel_it()) < 1000
    assert set(process.children()) <= before


def test_fewer_where_memory_is_short(monkeypatch):
    """The result says how many there were."""
    monkeypatch.setattr(connections, "available", lambda: 4 * 150 * 64_000)
    (cost,) = measure(servers={"lean": SERVERS["lean asyncio.Protocol"]})
    assert cost.n == 150
    assert cost.label == "measured here with 150"


def test_too_few_are_refused():
    """A page more or less would be the whole of the figure."""
    with pytest.raises(ValueError, match="at least 100"):
        measure(99)


def test_a_server_that_speaks_no_websocket_is_named():
    """By what it said."""
    with pytest.raises(ConnectionError, match="404"):
        measure(100, servers={"none": HTTPServer.in_process})


def test_the_extrapolation_is_a_straight_line_and_says_so():
    """With what it was extrapolated from."""
    cost = ConnectionCost("a server", 2000, 1500.0, 8000.0, 0.5)
    million = cost.at(1_000_000)
    assert million.bytes == 9_500_000_000 == million.user_bytes + million.kernel_bytes
    assert million.label == "extrapolated from 2,000"
    assert million.model == (
        "1,000,000 × (1.5 kB + 8 kB) = 9.5 GB, extrapolated from 2,000"
    )
    assert cost.at(10).bytes == 95_000
    assert cost.per_second == 4000


def test_the_kernels_part_may_be_unknown():
    """Then so is the sum."""
    cost = ConnectionCost("a server", 2000, 1500.0, math.nan, 0.5)
    assert math.isnan(cost.at().bytes)
    assert "n/a" in cost.at().model
