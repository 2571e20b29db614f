"""helpers.servers.fan_out, with subscribers that need no socket"""

import asyncio

import pytest

from helpers.servers.fan_out import FanOut, Full, Limits, Subscriber
from helpers.servers.feed import Feed


class Transport:
    """As much of one as a subscriber asks for."""

    closing = False
    unsent = 0

    def get_extra_info(self, _):
        return None

    def get_write_buffer_size(self):
        return self.unsent

    def is_closing(self):
        return self.closing


class Listener(Subscriber):
    """Keeps what it is sent; ``stuck`` makes it read nothing more."""

    def __init__(self, *, stuck: bool = False):
        super().__init__("listener", Transport())
        self.stuck = stuck
        self.events = []
        self.beats = 0

    def send(self, event):
        self.events.append(event)
        if self.stuck:
            self.transport.unsent += len(event.json)

    async def write(self, events):
        self.events += events
        if self.stuck:
            await asyncio.Event().wait()

    def beat(self):
        self.beats += 1

    @property
    def ids(self):
        return [event.id for event in self.events if event.id is not None]

    @property
    def notices(self):
        return [(event.kind, event.facts) for event in self.events if event.id is None]


class Stage:
    """A feed, its fan-out, and the tasks of those who follow it."""

    def __init__(self, *, history=1000, **limits):
        self.feed = Feed(history)
        self.fan_out = FanOut(self.feed, Limits(**limits))
        self.tasks = []

    async def follow(self, listener, since=None):
        task = asyncio.create_task(self.fan_out.follow(listener, since))
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    def publish(self, count=1):
        for _ in range(count):
            self.fan_out.publish(self.feed.number("goal", {}))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def test_each_event_goes_to_all_in_order():
    """Whoever listens gets each once; None means from now on."""

    async def scenario():
        async with Stage() as stage:
            stage.publish(2)
            listeners = [Listener() for _ in range(3)]
            for listener in listeners:
                await stage.follow(listener)
            stage.publish(3)
            assert [listener.ids for listener in listeners] == [[3, 4, 5]] * 3

    asyncio.run(scenario())


@pytest.mark.parametrize("since", [0, 100, 250])
def test_who_comes_back_gets_all_that_it_lacks_and_then_what_comes(since):
    """No event twice and none left out, also of those published while it catches up."""

    async def scenario():
        async with Stage() as stage:
            stage.publish(250)
            listener = Listener()
            arrive = listener.write

            async def write(events):
                await arrive(events)
                if stage.feed.last < 255:
                    stage.publish()
                await asyncio.sleep(0)

            listener.write = write
            await stage.follow(listener, since)
            for _ in range(10):  # more turns of the loop than there are batches
                await asyncio.sleep(0)
            stage.publish(2)
            await asyncio.sleep(0)
            assert listener.ids == list(range(since + 1, stage.feed.last + 1))

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_who_fell_off_the_history_is_told_first():
    """How many events are gone, and then what is kept."""

    async def scenario():
        async with Stage(history=4) as stage:
            stage.publish(10)
            listener = Listener()
            await stage.follow(listener, 2)
            assert listener.events[0].kind == "missed"
            assert listener.notices == [("missed", {"missed": 4})]
            assert listener.ids == [7, 8, 9, 10]

    asyncio.run(scenario())


def test_a_number_of_another_feed_is_told_too():
    """Nobody knows what was missed; it is told once, and all that is kept follows."""

    async def scenario():
        async with Stage() as stage:
            listener, early = Listener(), Listener()
            await stage.follow(early, 70)
            stage.publish(2)
            await stage.follow(listener, 70)
            for one in (listener, early):
                assert one.notices == [("missed", {"missed": None})]
                assert one.ids == [1, 2]

    asyncio.run(scenario())


def test_the_slow_one_is_dropped_and_nobody_else():
    """Told why and where it can go on; what waits for it stays within the bound."""

    async def scenario():
        async with Stage(unsent=1000) as stage:
            slow, quick = Listener(stuck=True), Listener()
            following = await stage.follow(slow)
            await stage.follow(quick)
            stage.publish(500)
            assert quick.ids == list(range(1, 501))
            assert slow.transport.unsent < 1000 + 2 * 200
            ((kind, facts),) = slow.notices
            assert kind == "dropped"
            assert facts["since"] == slow.ids[-1]
            assert "too slow" in facts["reason"]
            await asyncio.wait_for(following, 10)
            (dropped,) = stage.fan_out.dropped
            assert dropped.last_id == slow.ids[-1]

    asyncio.run(scenario())


def test_heartbeats_drop_the_slow_one_too():
    """So a feed without news still finds out who does not read."""

    async def scenario():
        async with Stage(unsent=1000) as stage:
            slow, quick = Listener(), Listener()
            await stage.follow(slow)
            await stage.follow(quick)
            slow.transport.unsent = 1001
            stage.fan_out.beat()
            assert (slow.beats, quick.beats) == (0, 1)
            assert [kind for kind, _ in slow.notices] == ["dropped"]

    asyncio.run(scenario())


def test_who_does_not_read_while_it_catches_up_is_dropped():
    """After its patience; it got no more than one batch."""

    async def scenario():
        async with Stage(patience=0.05) as stage:
            stage.publish(1000)
            listener = Listener(stuck=True)
            following = await stage.follow(listener, 0)
            await asyncio.wait_for(following, 10)
            assert len(listener.ids) == 100
            assert [kind for kind, _ in listener.notices] == ["dropped"]
            assert "nothing was read for 0.05 s" in listener.dropped

    asyncio.run(scenario())


def test_who_is_gone_is_not_written_to():
    """Its stream ends, without being counted as dropped."""

    async def scenario():
        async with Stage() as stage:
            listener = Listener()
            following = await stage.follow(listener)
            listener.transport.closing = True
            stage.publish()
            await asyncio.wait_for(following, 10)
            assert (listener.events, list(stage.fan_out.dropped)) == ([], [])

    asyncio.run(scenario())


def test_places_are_limited_and_given_back():
    """One more than there are raises Full; who leaves makes room."""

    async def scenario():
        fan_out = FanOut(Feed(), Limits(subscribers=2))
        with fan_out.admit():
            with fan_out.admit(), pytest.raises(Full):
                with fan_out.admit():
                    pass
            with fan_out.admit():
                assert fan_out.admitted == 2
        assert fan_out.admitted == 0

    asyncio.run(scenario())


def test_close_ends_all_streams_and_held_polls():
    """Also those of whoever comes just then."""

    async def scenario():
        async with Stage() as stage:
            following = await stage.follow(Listener())
            held = asyncio.create_task(stage.fan_out.wait_for_news(1000))
            await asyncio.sleep(0)
            stage.fan_out.close()
            late = await stage.follow(Listener())
            await asyncio.wait_for(asyncio.gather(following, held, late), 10)
            await asyncio.wait_for(stage.fan_out.wait_for_news(1000), 10)
            with pytest.raises(Full), stage.fan_out.admit():
                pass

    asyncio.run(scenario())
