"""helpers.servers.backplane"""

import asyncio
import pickle
import threading

import pytest

from helpers.servers.backplane import InKernelBackplane, SubscriptionLost
from helpers.servers.chat_room import ChatError, Event


def event(type: str, name: str = "Ann", room: str = "lobby", **more: str) -> Event:
    return Event(type, room=room, name=name, **more)


async def take(events, count: int) -> list[int]:
    return [(await anext(events)).number for _ in range(count)]


def test_a_subscriber_gets_what_is_published_from_then_on():
    """In order, with numbers; and nothing of another room."""

    async def run() -> list[int]:
        backplane = InKernelBackplane()
        await backplane.join(event("joined"))
        async with backplane.subscribe("lobby") as events:
            await backplane.join(event("joined", room="other"))
            for text in "abc":
                await backplane.publish(event("message", text=text))
            return await take(events, 3)

    assert asyncio.run(run()) == [2, 3, 4]


def test_a_join_returns_the_room_just_after_it():
    """Its own event is the last that the snapshot knows."""

    async def run() -> None:
        backplane = InKernelBackplane()
        first = await backplane.join(event("joined"))
        await backplane.publish(event("message", text="hi"))
        second = await backplane.join(event("joined", "Bo"))
        assert (first.number, first.members) == (1, ("Ann",))
        assert (second.number, second.members) == (3, ("Ann", "Bo"))
        assert [each.text for each in second.history] == ["hi"]
        assert await backplane.snapshot("lobby") == second

    asyncio.run(run())


def test_subscribers_on_other_loops_get_the_same_order():
    """Two threads publish as fast as they can; all four hear one order, no gap."""
    count, everybody = 200, threading.Barrier(4)
    backplane = InKernelBackplane()
    heard: list[list[tuple[int, str]]] = []

    async def take_part(name: str, publishes: bool) -> None:
        async with backplane.subscribe("lobby") as events:
            await asyncio.to_thread(everybody.wait, 30)
            for _ in range(count if publishes else 0):
                await backplane.publish(event("message", name))
            mine = [await anext(events) for _ in range(2 * count)]
            heard.append([(each.number, each.name) for each in mine])

    async def join() -> None:
        await backplane.join(event("joined", "0"))
        await backplane.join(event("joined", "1"))

    asyncio.run(join())
    threads = [
        threading.Thread(target=lambda i=i: asyncio.run(take_part(str(i), i < 2)))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 4
    assert heard[0] == heard[1] == heard[2] == heard[3]
    assert [number for number, _ in heard[0]] == list(range(3, 3 + 2 * count))


def test_a_subscriber_that_takes_nothing_is_cut_off():
    """It gets what was kept, and then the error; the publisher did not wait for it."""

    async def run() -> None:
        backplane = InKernelBackplane(backlog=3)
        await backplane.join(event("joined"))
        async with (
            backplane.subscribe("lobby") as slow,
            backplane.subscribe("lobby") as quick,
        ):
            for number in range(2, 7):
                await backplane.publish(event("message"))
                assert await take(quick, 1) == [number]
            assert await take(slow, 3) == [2, 3, 4]
            with pytest.raises(SubscriptionLost, match="more than 3 events"):
                await anext(slow)

    asyncio.run(run())


def test_a_subscriber_that_catches_up_lets_others_run():
    """Between any two events the loop does something else."""

    async def run() -> None:
        backplane = InKernelBackplane()
        await backplane.join(event("joined"))
        turns = 0

        def turn() -> None:
            nonlocal turns
            turns += 1
            asyncio.get_running_loop().call_soon(turn)

        async with backplane.subscribe("lobby") as events:
            for _ in range(10):
                await backplane.publish(event("message"))
            turn()
            for count in range(10):
                await anext(events)
                assert turns > count

    asyncio.run(run())


def test_a_subscription_ends_with_its_context():
    """Nothing is kept for one who is gone."""

    async def run() -> None:
        backplane = InKernelBackplane()
        async with backplane.subscribe("lobby"):
            assert backplane._subscriptions
        assert not backplane._subscriptions

    asyncio.run(run())


def test_rooms_are_bounded_and_an_empty_one_makes_place():
    """The one that has been empty the longest; with none empty it is an error."""

    async def run() -> None:
        backplane = InKernelBackplane(max_rooms=2)
        for room in ("first", "second"):
            await backplane.join(event("joined", room=room))
        with pytest.raises(ChatError, match="too-many-rooms: all 2"):
            await backplane.join(event("joined", room="third"))
        for room in ("second", "first"):
            await backplane.publish(event("left", room=room))
        await backplane.join(event("joined", room="third"))
        assert (await backplane.snapshot("first")).number == 2
        with pytest.raises(ChatError, match="no-room: there is no room 'second'"):
            await backplane.snapshot("second")

    asyncio.run(run())


@pytest.mark.parametrize(
    "limits", [{"history_limit": -1}, {"max_rooms": 0}, {"backlog": 0}]
)
def test_limits_that_are_none_are_refused(limits):
    """A backplane without a place for anything helps nobody."""
    with pytest.raises(ValueError, match="limits"):
        InKernelBackplane(**limits)


def test_it_does_not_go_to_another_process():
    """The error says why, and what to use."""
    with pytest.raises(TypeError, match="Valkey"):
        pickle.dumps(InKernelBackplane())
