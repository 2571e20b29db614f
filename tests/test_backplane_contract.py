"""What every backplane does: the one in the kernel, and the one in Valkey."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator

import pytest

from helpers.engines.valkey import Valkey
from helpers.engines.valkey_backplane import ValkeyBackplane
from helpers.servers.backplane import Backplane, InKernelBackplane, SubscriptionLost
from helpers.servers.chat import ChatServer
from helpers.servers.chat_room import ChatError, Event
from tests.chat_client import chat

Make = Callable[..., Backplane]


@pytest.fixture(scope="module")
def engine() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(params=["in-kernel", "valkey"])
def make(request: pytest.FixtureRequest, engine: Valkey) -> Make:
    """Makes a backplane whose rooms nobody else knows."""
    if request.param == "in-kernel":
        return InKernelBackplane

    def make_one(**limits: int) -> ValkeyBackplane:
        return ValkeyBackplane(engine.url, prefix=secrets.token_hex(4), **limits)

    return make_one


@pytest.fixture
def both(make: Make) -> tuple[Backplane, Backplane]:
    """For two servers with the same rooms, each as a server of its own has it."""
    one = make()
    if isinstance(one, InKernelBackplane):  # it is where they meet
        return one, one
    return one, ValkeyBackplane(one.url, prefix=one.prefix)


def event(type: str, name: str = "Ann", room: str = "lobby", **more: str) -> Event:
    return Event(type, room=room, name=name, **more)


async def take(events, count: int) -> list[int]:
    return [(await anext(events)).number for _ in range(count)]


def test_a_subscriber_gets_what_is_published_from_then_on(make):
    """In order, with numbers; and nothing of another room."""

    async def run() -> list[int]:
        backplane = make()
        await backplane.join(event("joined"))
        async with backplane.subscribe("lobby") as events:
            await backplane.join(event("joined", room="other"))
            for text in "abc":
                await backplane.publish(event("message", text=text))
            return await take(events, 3)

    assert asyncio.run(run()) == [2, 3, 4]


def test_what_is_published_arrives_as_it_was(make):
    """Any text, to the last digit of its time; and so it is in the history."""
    said = event("message", text='"ü😀\0\\ \u2028', id="a-1")
    said = Event(**{key: getattr(said, key) for key in said.__slots__} | {"at": 0.1})

    async def run() -> None:
        backplane = make()
        await backplane.join(event("joined"))
        async with backplane.subscribe("lobby") as events:
            published = await backplane.publish(said)
            assert await anext(events) == published
        assert published.number == 2
        assert (published.text, published.at, published.id) == (said.text, 0.1, "a-1")
        assert (await backplane.snapshot("lobby")).history == (published,)

    asyncio.run(run())


def test_a_join_returns_the_room_just_after_it(make):
    """Its own event is the last that the snapshot knows."""

    async def run() -> None:
        backplane = make()
        first = await backplane.join(event("joined"))
        await backplane.publish(event("message", text="hi"))
        second = await backplane.join(event("joined", "Bo"))
        assert (first.number, first.members) == (1, ("Ann",))
        assert (second.number, second.members) == (3, ("Ann", "Bo"))
        assert [each.text for each in second.history] == ["hi"]
        assert await backplane.snapshot("lobby") == second

    asyncio.run(run())


def test_subscribers_on_other_loops_get_the_same_order(make):
    """Two threads publish as fast as they can; all four hear one order, no gap."""
    count, everybody = 100, threading.Barrier(4)
    backplane = make()
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


def test_a_subscriber_that_takes_nothing_is_cut_off(make):
    """It gets what was kept, and then the error; the publisher did not wait for it."""

    async def run() -> None:
        backplane = make(backlog=3)
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


def test_a_subscriber_that_catches_up_lets_others_run(make):
    """Between any two events the loop does something else."""

    async def run() -> None:
        backplane = make()
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


def test_a_room_can_be_left_and_listened_to_again(make):
    """By the one who is the last, while another one comes."""

    async def visit(backplane: Backplane, number: int) -> None:
        async with backplane.subscribe("lobby") as events:
            sent = await backplane.publish(event("message", text=str(number)))
            while (await anext(events)).number != sent.number:
                pass

    async def run() -> None:
        backplane = make()
        await backplane.join(event("joined"))
        for number in range(10):
            await asyncio.gather(visit(backplane, number), visit(backplane, number))

    asyncio.run(run())


def test_one_that_gives_up_while_it_subscribes_harms_nobody(make):
    """The others go on, and so does the next one."""

    async def subscribe(backplane: Backplane) -> None:
        async with backplane.subscribe("lobby") as events:
            await anext(events)

    async def run() -> list[int]:
        backplane = make()
        await backplane.join(event("joined"))
        async with backplane.subscribe("other"):
            for turns in range(8):
                task = asyncio.create_task(subscribe(backplane))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            async with backplane.subscribe("lobby") as events:
                await backplane.publish(event("message"))
                return await take(events, 1)

    assert asyncio.run(run()) == [2]


def test_rooms_are_bounded_and_an_empty_one_makes_place(make):
    """The one that has been empty the longest; with none empty it is an error."""

    async def run() -> None:
        backplane = make(max_rooms=2)
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


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_the_history_is_bounded(make, limit):
    """The last so many messages; 0 for none."""

    async def run() -> list[str]:
        backplane = make(history_limit=limit)
        await backplane.join(event("joined"))
        for text in "abcde":
            await backplane.publish(event("message", text=text))
        return [each.text for each in (await backplane.snapshot("lobby")).history]

    assert asyncio.run(run()) == list("abcde"[5 - limit :])


def test_a_name_can_be_had_once_and_again_when_it_is_free(make):
    """However it is spelled; and a room holds so many."""

    async def run() -> None:
        backplane = make(max_members=2)
        await backplane.join(event("joined", "Ann"))
        with pytest.raises(ChatError, match="name-taken: 'Ann' is here already"):
            await backplane.join(event("joined", "ＡＮＮ"))
        await backplane.join(event("joined", "Bo"))
        with pytest.raises(ChatError, match="room-full: the room holds 2"):
            await backplane.join(event("joined", "Cy"))
        await backplane.publish(event("left", "Ann"))
        assert (await backplane.join(event("joined", "ann"))).members == ("Bo", "ann")

    asyncio.run(run())


def test_only_members_say_something(make):
    """In a room that there is, and to somebody who is there."""

    async def run() -> None:
        backplane = make()
        with pytest.raises(ChatError, match="no-room: there is no room 'lobby'"):
            await backplane.publish(event("message"))
        await backplane.join(event("joined"))
        for type in ("message", "private", "left"):
            with pytest.raises(ChatError, match="not-a-member: 'Bo' is not here"):
                await backplane.publish(event(type, "Bo", to="Ann"))
        with pytest.raises(ChatError, match="nobody-there: nobody named 'Bo'"):
            await backplane.publish(event("private", to="Bo"))
        assert (await backplane.snapshot("lobby")).number == 1

    asyncio.run(run())


def test_private_messages_are_numbered_apart(make):
    """For each one who gets them; they are in no history, and leave no gap."""

    async def run() -> None:
        backplane = make()
        for name in ("Ann", "Bo"):
            await backplane.join(event("joined", name))
        async with backplane.subscribe("lobby") as events:
            for _ in range(2):
                await backplane.publish(event("private", to="bo", text="psst"))
            await backplane.publish(event("private", "Bo", to="Ann", text="what?"))
            await backplane.publish(event("message", text="hi"))
            heard = [await anext(events) for _ in range(4)]
        assert [(each.to, each.number) for each in heard] == [
            *[("Bo", 1), ("Bo", 2), ("Ann", 1), ("", 3)]
        ]
        history = (await backplane.snapshot("lobby")).history
        assert [each.text for each in history] == ["hi"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "limits", [{"history_limit": -1}, {"max_rooms": 0}, {"backlog": 0}]
)
def test_limits_that_are_none_are_refused(make, limits):
    """A backplane without a place for anything helps nobody."""
    with pytest.raises(ValueError, match="limits"):
        make(**limits)


def test_two_servers_share_a_room(both):
    """Members, history, numbers, names and private messages, as if they were one."""
    with ChatServer(backplane=both[0]) as a, ChatServer(backplane=both[1]) as b:
        with chat(a, "Ann") as ann, chat(b) as bo:
            ann.ask("message", text="before")
            assert bo.ask("join", room="lobby", name="ann")["code"] == "name-taken"
            welcome = bo.ask("join", room="lobby", name="Bo")
            assert welcome["members"] == ["Ann", "Bo"]
            assert [each["text"] for each in welcome["history"]] == ["before"]
            assert ann.receive()["name"] == "Bo"
            bo.send("message", text="hello")
            assert ann.receive() == bo.receive()
            ann.ask("private", to="Bo", text="psst")
            assert bo.receive()["text"] == "psst"
            ann.send("leave")
            assert bo.receive() == ann.receive()
        assert not a.errors and not b.errors
