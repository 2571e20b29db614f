"""helpers.measure.load"""

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager

import pytest

from helpers.measure import load
from helpers.measure.load import closed_loop, open_loop

# How long the fake servers stall. A scheduler's hiccup is much shorter, also on a
# busy machine, and what is compared is its half.
STALL = 0.6


async def nothing():
    await asyncio.sleep(0)


class InFlight:
    """A request that counts how many of it run at once."""

    def __init__(self):
        self.now = self.most = 0

    async def __call__(self):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1


class StallingServer:
    """Answers one request after the other, at once, but stalls on one of them."""

    def __init__(self, stalls_on: int) -> None:
        self.stalls_on = stalls_on
        self.free = asyncio.Lock()

    async def __call__(self, index: int) -> None:
        async with self.free:
            if index == self.stalls_on:
                await asyncio.sleep(STALL)


def slow_ones(result):
    return int((result.latencies > STALL / 2).sum())


# -- closed loop -------------------------------------------------------------------


@pytest.mark.parametrize(("clients", "requests"), [(1, 7), (3, 100), (20, 5)])
def test_closed_loop_sends_so_many_requests(clients, requests):
    """Each request is sent once, with its index, however many clients there are."""
    seen = []

    async def request(index):
        await asyncio.sleep(0)
        seen.append(index)

    result = asyncio.run(closed_loop(request, clients=clients, requests=requests))
    assert result.requests == result.succeeded == requests
    assert sorted(seen) == list(range(requests))


def test_closed_loop_sends_a_thousand_unless_told():
    """Without a length the run has 1,000 requests."""
    assert asyncio.run(closed_loop(nothing)).requests == 1000


def test_closed_loop_never_has_more_in_flight_than_clients():
    """N clients that wait for their answers have N requests in flight, never more."""
    request = InFlight()
    asyncio.run(closed_loop(request, clients=7, requests=50))
    assert request.most == 7


def test_closed_loop_for_seconds():
    """By seconds, the run lasts that long and waits for what is under way."""
    request = InFlight()
    result = asyncio.run(closed_loop(request, clients=2, seconds=0.1))
    assert result.elapsed >= 0.1
    assert request.now == 0
    assert result.requests > 2


def test_warm_up_is_not_counted():
    """Warm-up requests go first, have negative indexes, and leave no figure."""
    seen = []

    async def request(index):
        seen.append(index)
        if index < 0:
            raise ConnectionError

    result = asyncio.run(closed_loop(request, clients=1, requests=2, warm_up=3))
    assert seen == [-3, -2, -1, 0, 1]
    assert (result.requests, result.errors) == (2, {})


# -- open loop ---------------------------------------------------------------------


def test_open_loop_sends_so_many_requests():
    """By requests, the run sends so many, with their indexes in order."""
    seen = []

    async def request(index):
        seen.append(index)

    result = asyncio.run(open_loop(request, rate=10_000, requests=50))
    assert result.requests == 50
    assert seen == list(range(50))


def test_open_loop_sends_rate_times_seconds():
    """By seconds, uniform arrivals are rate times seconds, busy machine or not."""
    result = asyncio.run(open_loop(nothing, rate=500, seconds=0.2))
    assert result.requests == 100


def test_open_loop_does_not_wait_for_answers():
    """Requests arrive while none of the earlier ones has been answered."""

    async def run():
        all_there = asyncio.Barrier(20)
        await open_loop(all_there.wait, rate=10_000, requests=20)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_open_loop_bounds_what_is_in_flight():
    """Beyond the limit arrivals wait, and all are sent in the end."""
    request = InFlight()
    result = asyncio.run(open_loop(request, rate=100_000, requests=60, limit=5))
    assert request.most == 5
    assert result.requests == 60


def test_waiting_for_a_slot_counts():
    """Latency counts from the intended start, also when the limit held it back."""

    async def request():
        await asyncio.sleep(0.01)

    result = asyncio.run(open_loop(request, rate=100_000, requests=20, limit=1))
    # The last of 20 in a row waited for 19 others of at least 10 ms each.
    assert result.latencies.max() > 0.15


def test_open_loop_counts_a_stall_that_closed_loop_hides():
    """One stall is one slow answer to a closed loop, and many to an open one."""

    async def run():
        closed = await closed_loop(StallingServer(50), clients=1, requests=300)
        opened = await open_loop(StallingServer(50), rate=200, requests=300)
        return closed, opened

    closed, opened = asyncio.run(run())
    assert closed.p99 < STALL / 2 < opened.p95
    # For half of the stall, each arrival will wait for more than half of it.
    assert slow_ones(opened) >= 200 * STALL / 2 * 0.8


def test_open_loop_counts_a_stall_of_our_own_loop():
    """A request that blocks the event loop makes those behind it late, not lost."""

    async def request(index):
        if index == 10:
            time.sleep(STALL)  # noqa: ASYNC251 - the fault that is tested

    result = asyncio.run(open_loop(request, rate=200, requests=150))
    assert slow_ones(result) >= 200 * STALL / 2 * 0.8


@pytest.mark.parametrize("run", [closed_loop, open_loop])
def test_what_comes_before_the_first_request_is_not_measured(monkeypatch, run):
    """A progress bar that is slow to come (its import) makes no request late."""

    @asynccontextmanager
    async def slow_bar(*_, **__):
        time.sleep(STALL)  # noqa: ASYNC251 - as an import does
        yield

    monkeypatch.setattr(load, "progress_bar", slow_bar)
    rate = {"rate": 1000} if run is open_loop else {}
    result = asyncio.run(run(nothing, requests=1, **rate))
    assert result.latencies.max() <= result.elapsed < STALL


def test_poisson_arrivals_replay():
    """The same seed gives the same arrivals, another seed others."""

    def arrivals(seed):
        times = load._arrivals("poisson", 100.0, seed)
        return [next(times) for _ in range(2000)]

    assert arrivals(1) == arrivals(1) != arrivals(2)
    assert arrivals(1)[-1] == pytest.approx(20, rel=0.1)  # 2,000 at 100/s


# -- errors and cancellation -------------------------------------------------------


@pytest.mark.parametrize("run", [closed_loop, open_loop])
def test_errors_are_counted_by_kind(run):
    """What a request raises is counted, and the load goes on."""

    async def request(index):
        if index % 5 == 0:
            raise TimeoutError
        if index % 5 == 1:
            raise asyncio.CancelledError  # leaked out of the request's own doings

    rate = {"rate": 100_000} if run is open_loop else {}
    result = asyncio.run(run(request, requests=50, **rate))
    assert result.errors == {"TimeoutError": 10, "CancelledError": 10}
    assert result.succeeded == 30


@pytest.mark.parametrize("run", [closed_loop, open_loop])
def test_cancellation_leaves_no_task(run):
    """Cancelling the run ends every request, every client and the progress bar."""
    ended = []

    async def main():
        busy = asyncio.Event()

        async def request():
            busy.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(1)

        rate = {"rate": 100_000} if run is open_loop else {}
        task = asyncio.create_task(run(request, requests=5, **rate))
        await busy.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()
    assert ended


# -- arguments ---------------------------------------------------------------------


async def two(client, index):
    pass


@pytest.mark.parametrize(
    ("request_", "options", "message"),
    [
        (nothing, {"requests": 1, "seconds": 1}, "either requests or seconds"),
        (nothing, {"requests": 0}, "requests must be"),
        (nothing, {"requests": 2.5}, "requests must be"),
        (nothing, {"seconds": 0}, "seconds must be"),
        (nothing, {"seconds": float("inf")}, "seconds must be"),
        (nothing, {"clients": 0}, "clients must be"),
        (nothing, {"warm_up": -1}, "warm_up must be"),
        (two, {}, "takes 2 arguments"),
        ("http://127.0.0.1", {}, "must be an async function"),
    ],
)
def test_closed_loop_refuses(request_, options, message):
    """An argument that makes no sense is refused, with what to do."""
    with pytest.raises(ValueError, match=message):
        asyncio.run(closed_loop(request_, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 10}, "either requests or seconds"),
        ({"rate": 0, "seconds": 1}, "rate must be"),
        ({"rate": 10, "seconds": 1, "limit": 0}, "limit must be"),
        ({"rate": 10, "seconds": 1, "arrivals": "normal"}, "'uniform' or 'poisson'"),
    ],
)
def test_open_loop_refuses(options, message):
    """An argument that makes no sense is refused, with what to do."""
    with pytest.raises(ValueError, match=message):
        asyncio.run(open_loop(nothing, **options))


def test_a_coroutine_is_refused():
    """The request called too early is refused, without a second warning."""
    with pytest.raises(ValueError, match=r"not closed_loop\(ask\(\)\)"):
        asyncio.run(closed_loop(nothing()))


def test_an_optional_argument_gets_no_index():
    """A default stands: only an argument that must be given is the index."""
    seen = []

    async def request(path="/videos/1"):
        seen.append(path)

    asyncio.run(closed_loop(request, requests=2))
    assert seen == ["/videos/1"] * 2


# -- progress ----------------------------------------------------------------------


@pytest.mark.parametrize("progress", [True, False])
def test_a_short_run_prints_nothing(capsys, progress):
    """A run that is over at once, or wants no progress, leaves no trace."""
    before = threading.enumerate()
    asyncio.run(closed_loop(nothing, requests=10, progress=progress))
    assert capsys.readouterr() == ("", "")
    assert threading.enumerate() == before


def test_importing_load_draws_nothing_in():
    """A benchmark that imports the load pays for no widget and no drawing."""
    heavy = "{'ipywidgets', 'matplotlib', 'IPython'}"
    code = f"import sys, helpers.measure.load; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
