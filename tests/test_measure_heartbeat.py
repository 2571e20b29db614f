"""helpers.measure.heartbeat"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from time import perf_counter

import httpx
import pytest

from helpers.measure import heartbeat
from helpers.servers.concurrency import AsyncServer, SyncServer

FREEZE = 0.3


async def handler(path: str) -> str:
    if path == "/freeze":
        time.sleep(FREEZE)  # noqa: ASYNC251 - that is the point
    return path


def test_a_freeze_shows_as_one_late_beat(wait_until):
    """As long as the blocking call; the beats before and after come on their own."""
    with AsyncServer(handler) as server, heartbeat(server, every=0.01) as pulse:
        wait_until(lambda: len(pulse.beats) > 5)
        before = len(pulse.beats)
        httpx.get(server.make_url("/freeze"))
        wait_until(lambda: len(pulse.beats) > before + 5)
    blocked = server.handled[0]
    after = next(b for b in pulse.beats if b.moment >= blocked.ended)
    assert not any(blocked.started < b.moment < blocked.ended for b in pulse.beats)
    assert after.lag >= blocked.ended - blocked.started - pulse.every
    assert pulse.freeze >= after.lag


def test_beats_are_in_order_and_never_early():
    """Moments only grow by `every` at least, and no lag is negative."""

    async def main() -> list:
        async with heartbeat(every=0.005) as pulse:
            await asyncio.sleep(0.1)
        return pulse.beats

    beats = asyncio.run(main())
    assert len(beats) > 1
    gaps = [b.moment - a.moment for a, b in itertools.pairwise(beats)]
    # The exit may add a beat of its own, which is no sooner than planned either.
    assert all(gap >= 0.004 for gap in gaps)  # a loop may wake a tick early
    assert all(beat.lag >= -0.001 for beat in beats)


def test_a_freeze_that_goes_on_at_the_exit_counts():
    """The block ends while the server still stands still."""
    release = threading.Event()
    frozen = threading.Event()

    async def stand_still(path: str) -> str:
        frozen.set()
        release.wait(60)
        return path

    with AsyncServer(stand_still) as server:
        asking = threading.Thread(target=httpx.get, args=[server.url + "/"])
        with heartbeat(server) as pulse:
            asking.start()
            assert frozen.wait(30)
            began = perf_counter()
            time.sleep(0.1)
            elapsed = perf_counter() - began
        seen = pulse.freeze
        release.set()
        asking.join()
    assert seen >= elapsed - pulse.every
    assert pulse.freeze == seen  # what comes after the block is not its matter


def test_a_freeze_of_the_running_loop_up_to_the_exit_counts():
    """Even when the loop never came round again within the block."""

    async def main() -> heartbeat:
        async with heartbeat() as pulse:
            time.sleep(0.1)  # noqa: ASYNC251
        return pulse

    pulse = asyncio.run(main())
    assert len(pulse.beats) == 1
    assert pulse.freeze >= 0.1


def test_it_beats_on_a_server_of_one_thread(wait_until):
    """Between two requests; a handler that holds the thread is a freeze."""
    with SyncServer(lambda _: time.sleep(0.1) or "done") as server:
        with heartbeat(server) as pulse:
            wait_until(lambda: pulse.beats)
            httpx.get(server.url + "/")
            wait_until(lambda: pulse.freeze >= 0.09)


def test_a_server_that_stops_meanwhile_is_no_freeze(wait_until):
    """Its loop is gone; that counts for nothing."""
    with AsyncServer(handler) as server:
        with heartbeat(server, every=0.001) as pulse:
            wait_until(lambda: pulse.beats)
            server.stop()
            last = pulse.beats[-1]
            time.sleep(0.05)
        assert pulse.beats[-1] == last


def test_it_ends_with_its_block(wait_until):
    """No beat comes afterwards."""
    with AsyncServer(handler) as server:
        with heartbeat(server, every=0.001) as pulse:
            wait_until(lambda: len(pulse.beats) > 2)
        beats = pulse.beats
        with heartbeat(server, every=0.001) as other:
            wait_until(lambda: len(other.beats) > 10)
        assert pulse.beats == beats


def test_it_is_for_one_block():
    """Two blocks would mix their beats."""

    async def main() -> None:
        pulse = heartbeat()
        async with pulse:
            pass
        with pytest.raises(RuntimeError, match="for one block"):
            async with pulse:
                pass

    asyncio.run(main())


def test_before_the_first_beat_there_is_no_freeze():
    """0 s, and it says so."""
    assert heartbeat().freeze == 0
    assert repr(heartbeat()).startswith("<0 beats")


def test_a_loop_that_is_not_there_is_named():
    """A stopped server, a server in another process, no running loop."""
    with pytest.raises(RuntimeError, match="AsyncServer does not run"):
        heartbeat(AsyncServer(handler)).__enter__()
    with pytest.raises(TypeError, match="no event loop in this process"):
        heartbeat(AsyncServer.in_process(handler))
    with pytest.raises(RuntimeError, match="no running event loop"):
        heartbeat().__enter__()


@pytest.mark.parametrize("every", [0, -1, float("nan"), float("inf")])
def test_a_pace_that_is_none_is_refused(every):
    """With its unit."""
    with pytest.raises(ValueError, match="every is in seconds"):
        heartbeat(every=every)
