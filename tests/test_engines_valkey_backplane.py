"""helpers/engines/valkey_backplane.py: what a backplane between processes can meet."""

from __future__ import annotations

import asyncio
import os
import pickle
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import valkey
import valkey.asyncio
from websockets.exceptions import ConnectionClosed

from helpers.engines.valkey import Valkey
from helpers.engines.valkey_backplane import ValkeyBackplane
from helpers.engines.valkey_channels import Channels
from helpers.servers.backplane import SubscriptionLost
from helpers.servers.chat import ChatServer
from helpers.servers.chat_room import ChatError, Event
from tests.chat_client import chat
from tests.conftest import holds_within

Make = Callable[..., ValkeyBackplane]
PATIENCE = 60.0  # seconds, for what comes at once


@pytest.fixture(scope="module")
def engine() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def make(engine) -> Make:
    """Makes backplanes that share their rooms, each as a server of its own has it."""
    prefix = secrets.token_hex(4)
    return lambda **limits: ValkeyBackplane(engine.url, prefix=prefix, **limits)


def event(type: str, name: str = "Ann", **more: str) -> Event:
    return Event(type, room="lobby", name=name, **more)


async def take(events: AsyncIterator[Event]) -> Event:
    return await asyncio.wait_for(anext(events), PATIENCE)


async def comes_true(condition: Callable[[], Awaitable[object]]) -> None:
    """Returns once ``await condition()`` is true; fails when it does not become so."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - Valkey sends no word of it
            await asyncio.sleep(0.02)


async def connections(engine: Valkey) -> int:
    async with valkey.asyncio.from_url(engine.url) as client:
        return len(await client.client_list())


async def is_empty(backplane: ValkeyBackplane) -> bool:
    return not (await backplane.snapshot("lobby")).members


async def no_keys(client: valkey.asyncio.Valkey, prefix: str) -> bool:
    return not await client.keys(f"{prefix}:*")


# -- servers that die, and servers that stand still ------------------------------------


def test_the_members_of_a_dead_server_leave(make):
    """Once its lease ran out: in their order, told to all, and their names are free."""

    async def run() -> None:
        dead, alive = make(lease=0.2), make(lease=0.2)
        async with alive.subscribe("lobby") as events:
            for name in ("Zoe", "Ann"):
                await dead.join(event("joined", name))
            await alive.join(event("joined", "Bo"))
            heard = [await take(events) for _ in range(5)]
            assert [(each.type, each.name) for each in heard[3:]] == [
                *[("left", "Zoe"), ("left", "Ann")]
            ]
            assert [each.number for each in heard] == [1, 2, 3, 4, 5]
            assert heard[3].room == "lobby" and heard[3].at > 1e9
            assert (await alive.join(event("joined", "Ann"))).members == ("Bo", "Ann")

    asyncio.run(run())


def test_a_lease_is_renewed_while_one_listens(make):
    """So the members of a server that lives stay."""

    async def run() -> None:
        quiet, other = make(lease=0.3), make(lease=0.3)
        async with quiet.subscribe("lobby"):
            await quiet.join(event("joined"))
            for _ in range(10):
                await asyncio.sleep(0.1)
                assert (await other.snapshot("lobby")).members == ("Ann",)

    asyncio.run(run())


def test_a_server_that_stood_still_too_long_is_told(make):
    """Its members have left meanwhile; it may not speak for who has their names now."""

    async def run() -> None:
        still, other = make(lease=0.2), make(lease=30)
        async with still.subscribe("lobby") as events:
            await still.join(event("joined"))
            [line] = still._lines.values()
            line._renewing.cancel()  # this is how it stands still
            await comes_true(lambda: is_empty(other))
            await other.join(event("joined"))
            for type in ("message", "left"):
                with pytest.raises(ChatError, match="not-a-member"):
                    await still.publish(event(type))
            with pytest.raises(SubscriptionLost, match="lease ran out"):
                while True:
                    await take(events)
        assert (await other.snapshot("lobby")).members == ("Ann",)

    asyncio.run(run())


# -- Valkey that dies, and Valkey that stands still ------------------------------------


def test_all_subscriptions_are_lost_with_valkey():
    """The next one works as soon as it is there again."""

    async def run(engine: Valkey) -> None:
        backplane = ValkeyBackplane(engine.url)
        async with backplane.subscribe("lobby") as a, backplane.subscribe("hall") as b:
            await asyncio.to_thread(engine.kill)
            for events in (a, b):
                with pytest.raises(SubscriptionLost, match="connection to Valkey"):
                    await take(events)
            with pytest.raises(valkey.ConnectionError):
                await backplane.join(event("joined"))
            await asyncio.to_thread(engine.start)
            async with backplane.subscribe("lobby") as events:
                await backplane.join(event("joined"))
                assert (await take(events)).number == 1

    with Valkey() as engine:
        asyncio.run(run(engine))


def test_a_valkey_that_stands_still_is_noticed():
    """No connection breaks, but no lease can be renewed."""

    async def run(engine: Valkey) -> None:
        backplane = ValkeyBackplane(engine.url, lease=0.3, patience=0.3)
        async with backplane.subscribe("lobby") as events:
            await backplane.join(event("joined"))
            await take(events)
            os.kill(engine.pid, signal.SIGSTOP)
            try:
                with pytest.raises(SubscriptionLost, match="does not answer"):
                    await take(events)
            finally:
                os.kill(engine.pid, signal.SIGCONT)

    with Valkey() as engine:
        asyncio.run(run(engine))


def test_whoever_may_have_joined_is_gone_after_the_lease(make):
    """When no answer came: the name does not stay taken by nobody."""

    async def run() -> None:
        unlucky, other = make(lease=0.3), make(lease=0.3)

        async with unlucky.subscribe("lobby") as events:
            [line] = unlucky._lines.values()
            run_script = line.run

            async def lose_the_answer(**ask: object) -> None:
                await run_script(**ask)
                raise valkey.TimeoutError("no answer")

            line.run = lose_the_answer
            with pytest.raises(valkey.TimeoutError):
                await unlucky.join(event("joined"))
            with pytest.raises(SubscriptionLost, match="no answer"):
                while True:
                    await take(events)
            assert (await other.snapshot("lobby")).members == ("Ann",)
            async with unlucky.subscribe("lobby"):  # it lives on, as a new one
                await comes_true(lambda: is_empty(other))

    asyncio.run(run())


def test_a_gap_is_noticed(make):
    """Whatever it was that events went missing by."""

    async def run() -> None:
        backplane = make()
        async with backplane.subscribe("lobby") as events:
            await backplane.join(event("joined"))
            async with valkey.asyncio.from_url(backplane.url) as client:
                await client.hincrby(f"{backplane.prefix}:room:lobby:numbers", "room")
            await backplane.publish(event("message"))
            assert (await take(events)).number == 1
            with pytest.raises(SubscriptionLost, match="event 3 came after 1"):
                await take(events)

    asyncio.run(run())


def test_what_is_no_event_loses_the_subscription(make):
    """Somebody else publishes in our channel; nobody hangs."""

    async def run() -> None:
        backplane = make()
        async with backplane.subscribe("lobby") as events:
            async with valkey.asyncio.from_url(backplane.url) as client:
                await client.publish(f"{backplane.prefix}:room:lobby:events", "hello")
            with pytest.raises(SubscriptionLost):
                await take(events)

    asyncio.run(run())


def test_members_can_leave_when_memory_is_short():
    """Or a full Valkey would stay full."""

    async def run(engine: Valkey) -> None:
        backplane = ValkeyBackplane(engine.url)
        await backplane.join(event("joined"))
        async with valkey.asyncio.from_url(engine.url) as client:
            await client.config_set("maxmemory", 1)
            with pytest.raises(valkey.ValkeyError, match="maxmemory"):
                await client.set("more", "data")
        await backplane.publish(event("left"))
        assert (await backplane.snapshot("lobby")).members == ()

    with Valkey() as engine:
        asyncio.run(run(engine))


def test_one_that_subscribes_while_the_connection_breaks_is_told(make, monkeypatch):
    """And does not wait for a confirmation that nobody reads."""
    connect = Channels._connect

    async def connect_and_lose(channels: Channels) -> None:
        await connect(channels)
        channels.lose("on purpose")

    monkeypatch.setattr(Channels, "_connect", connect_and_lose)

    async def run() -> None:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(valkey.ConnectionError, match="on purpose"):
                async with make().subscribe("lobby"):
                    pass

    asyncio.run(run())


# -- what it leaves --------------------------------------------------------------------


def test_its_connections_end_with_the_last_subscription(engine, make, wait_until):
    """A few for each loop, however many rooms it listens to and clients ask."""

    async def run() -> None:
        before = await connections(engine)
        backplane = make()
        async with backplane.subscribe("lobby"), backplane.subscribe("hall"):
            await backplane.join(event("joined"))
            await asyncio.gather(
                *(backplane.publish(event("message")) for _ in range(50))
            )
            assert await connections(engine) <= before + 5
        assert not backplane._lines

    before = asyncio.run(connections(engine))
    asyncio.run(run())
    wait_until(lambda: asyncio.run(connections(engine)) == before)


def test_what_nobody_asks_for_is_forgotten(engine, make):
    """A Valkey that is borrowed is left as it was."""

    async def run() -> None:
        backplane = make(lease=0.1, forget_after=0.2)
        await backplane.join(event("joined"))
        await backplane.publish(event("message"))
        async with valkey.asyncio.from_url(engine.url) as client:
            assert len(await client.keys(f"{backplane.prefix}:*")) == 5
            await comes_true(lambda: no_keys(client, backplane.prefix))

    asyncio.run(run())


def test_a_quiet_room_is_not_forgotten_while_one_listens(make):
    """Each renewal of the lease keeps it."""

    async def run() -> None:
        backplane = make(lease=0.3, forget_after=0.9)
        async with backplane.subscribe("lobby"):
            await backplane.join(event("joined"))
            await asyncio.sleep(1.5)
            assert (await backplane.snapshot("lobby")).members == ("Ann",)

    asyncio.run(run())


def test_it_goes_to_another_process(make):
    """With all its settings, and as a server of its own."""
    backplane = make(history_limit=7, backlog=3, lease=2.0, patience=4.0)
    sent = pickle.loads(pickle.dumps(backplane))
    kept = ("url", "prefix", "backlog", "lease", "patience", "_limits")
    assert all(getattr(sent, key) == getattr(backplane, key) for key in kept)
    assert sent._server != backplane._server


@pytest.mark.parametrize(
    "times", [{"lease": 0}, {"patience": -1}, {"lease": 9, "forget_after": 8}]
)
def test_times_that_make_no_sense_are_refused(make, times):
    """The error names them."""
    with pytest.raises(ValueError, match="lease, patience and forget_after"):
        make(**times)


# -- chat servers that share it --------------------------------------------------------


def test_the_names_of_a_killed_server_come_free(make):
    """It is a process of its own, and says no good-bye; the others see them leave."""
    shared = make(lease=1.0)
    with (
        ChatServer.in_process(backplane=shared) as doomed,
        ChatServer(backplane=shared) as server,
        chat(server, "Bo") as bo,
        chat(doomed, "Ann"),
    ):
        assert bo.receive_until("joined")["name"] == "Ann"
        doomed.kill()
        assert bo.receive_until("left")["name"] == "Ann"
        with chat(server, "Ann"):
            assert bo.receive_until("joined")["name"] == "Ann"


def test_a_server_without_its_valkey_sends_its_clients_away():
    """They come back once it is there again; one that comes too early tries again."""

    def says_something(server: ChatServer) -> bool:
        try:
            with chat(server, "Ann") as ann:
                return ann.ask("message", text="hi")["text"] == "hi"
        except ConnectionClosed:
            return False

    with (
        Valkey() as engine,
        ChatServer(backplane=ValkeyBackplane(engine.url)) as server,
    ):
        with chat(server, "Ann") as ann:
            engine.kill()
            with pytest.raises(ConnectionClosed) as closed:
                ann.receive()
            assert closed.value.rcvd.code == 1013
        engine.start()
        assert holds_within(lambda: says_something(server), PATIENCE)
        server.stop()
        server.errors.clear()  # the good-bye of the first Ann met no Valkey
