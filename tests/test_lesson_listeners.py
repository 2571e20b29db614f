"""helpers.lesson.listeners"""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from websockets import connect

from helpers.lesson import listeners
from helpers.lesson.listeners import Heard, Listened, chance, listen
from helpers.network import Capture

MOMENTS = [0.01 * n for n in range(10)]


async def polls(line, heard, wait=20):
    last = 0
    async with httpx.AsyncClient(base_url=line.url, timeout=60) as client:
        while True:
            answer = await client.get(f"/events?since={last}&wait={wait}")
            heard(answer.json()["events"])
            last = answer.json()["last"]


async def streams(line, heard):
    async with httpx.AsyncClient(base_url=line.url, timeout=None) as client:
        async with client.stream("GET", "/lines") as answer:
            async for row in answer.aiter_lines():
                heard([json.loads(row)])


async def sockets(line, heard):
    async with connect(f"ws://127.0.0.1:{line.port}/") as socket:
        async for text in socket:
            heard([json.loads(text)])


async def forgetful(line, heard):
    """Comes back after a cut, and asks for nothing that it missed."""
    while True:
        try:
            await streams(line, heard)
        except httpx.TransportError:
            await asyncio.sleep(0.05)


def listened(ways, moments=MOMENTS, **options):
    return asyncio.run(listen(ways, moments, **options))


def made(*heard: Heard, published: dict[int, float]) -> Listened:
    return Listened(Capture(), events=list(heard), published=published)


# -- moments -----------------------------------------------------------------------


def test_chance_is_the_same_for_the_same_seed():
    """In order, within the time, and about as many as they should be."""
    moments = chance(every=0.1, seconds=100, seed=5)
    assert moments == chance(every=0.1, seconds=100, seed=5)
    assert moments != chance(every=0.1, seconds=100, seed=6)
    assert moments == sorted(moments) and moments[0] > 0 and moments[-1] < 100
    assert 900 < len(moments) < 1100


@pytest.mark.parametrize("wrong", [{"every": 0}, {"seconds": -1}])
def test_chance_needs_time(wrong):
    """Else it would never end."""
    with pytest.raises(ValueError, match="above zero"):
        chance(**{"every": 1.0, "seconds": 1.0} | wrong)


# -- what was heard ----------------------------------------------------------------


def test_an_age_is_counted_from_the_birth():
    """In seconds, whatever the clock said when the run began."""
    way = made(Heard(7, 1.0, 1.2, 1), Heard(8, 2.0, 2.1, 1), published={7: 1.0, 8: 2.0})
    assert way.ages == pytest.approx([0.2, 0.1])
    assert way.percentile(50) == pytest.approx(0.1)
    assert way.complete and not way.missed


def test_what_came_together_is_one_answer():
    """However many events were in it."""
    batch = [Heard(n, 0.1 * n, 0.9, 3) for n in range(3)]
    way = made(*batch, Heard(3, 1.0, 1.1, 1), published=dict.fromkeys(range(4), 0.0))
    assert way.answers == 2


@pytest.mark.parametrize("ids", [[1, 3], [1, 2, 2, 3], [1, 3, 2]])
def test_missed_doubled_or_out_of_order_is_not_complete(ids):
    """Every event once, and in order."""
    way = made(*(Heard(n, 0, 0, 1) for n in ids), published={1: 0, 2: 0, 3: 0})
    assert not way.complete
    assert way.missed == ([2] if 2 not in ids else [])


def test_who_heard_nothing_has_no_age():
    """Nan, and no error: the picture of it comes later."""
    way = made(published={1: 0.0})
    assert way.percentile(50) != way.percentile(50)
    assert way.bytes_per_event != way.bytes_per_event
    assert repr(way) == "<0 of 1 events, in 0 answers, 1 missed>"


# -- listening ---------------------------------------------------------------------


def test_all_hear_the_same_events():
    """Over their own lines, each after its latency at least; asking costs requests."""
    ways = {"polls": polls, "streams": streams, "WebSocket": sockets}
    seen = listened(ways, latency=0.01)
    assert all(way.complete for way in seen.values()), seen
    assert len({tuple(way.ids) for way in seen.values()}) == 1
    assert all(min(way.ages) >= 0.01 for way in seen.values())
    assert all(way.connections == 1 for way in seen.values())
    # The first answer may be that to a question from before the first event.
    assert seen["polls"].requests >= seen["polls"].answers - 1 >= 0
    assert seen["streams"].requests == seen["WebSocket"].requests == 0
    assert seen["polls"].bytes_per_event > seen["WebSocket"].bytes_per_event > 60


def test_a_cut_loses_what_nobody_asks_for_again(monkeypatch):
    """Who comes back by its number hears all; who does not misses some."""
    monkeypatch.setattr(listeners, "SETTLE", 30.0)
    moments = [0.01 * n for n in range(60)]
    ways = {"forgetful": forgetful}
    [way] = listened(ways, moments, latency=0.01, cuts=[0.1]).values()
    assert way.missed and not way.complete
    assert way.ids == sorted(set(way.ids))
    assert len(way.cuts) == 1 and way.requests == 1


def test_what_a_way_raises_is_raised():
    """A mistake in a loop is not a silent way."""

    async def wrong(line, heard):
        raise LookupError("nowhere")

    with pytest.raises(LookupError, match="nowhere"):
        listened({"streams": streams, "wrong": wrong})


def test_a_way_that_returns_is_told():
    """It would hear no more, and nobody would know why."""

    async def short(line, heard):
        heard([{"id": 1, "born": 0.0}])

    with pytest.raises(RuntimeError, match="short returned"):
        listened({"short": short})


def test_a_way_that_hears_nothing_is_named(monkeypatch):
    """After a while."""
    monkeypatch.setattr(listeners, "READY", 0.3)

    async def deaf(line, heard):
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="heard of nothing: deaf"):
        listened({"deaf": deaf})


def test_who_missed_the_last_event_is_not_waited_for_without_end(monkeypatch):
    """The run ends, and tells what it missed."""
    monkeypatch.setattr(listeners, "SETTLE", 0.1)

    async def early_only(line, heard):
        await streams(line, lambda news: heard([e for e in news if not e.get("score")]))

    [way] = listened({"early only": early_only}).values()
    assert way.missed == list(way.published)
