"""helpers.show.day3"""

from __future__ import annotations

import asyncio
import json
import math

import pytest
from websockets import connect

from helpers.lesson.connections import ConnectionCost
from helpers.lesson.listeners import Heard, Listened
from helpers.lesson.million import Held
from helpers.network import Capture, Link
from helpers.servers.scores import ScoreServer
from helpers.show import day3


class Guess:
    value = 42.0


def way(ages: list[float], lost: int = 0) -> Listened:
    """Events a second apart, with these ages; after them ``lost`` that never came."""
    events = [Heard(n, float(n), n + age, 1) for n, age in enumerate(ages, 1)]
    published = {n: float(n) for n in range(1, len(ages) + lost + 1)}
    return Listened(Capture(), events, published, cuts=[1.5], connections=1)


SEEN = {
    "short polling": way([0.2, 0.3]),
    "long polling": way([0.03, 0.05]),
    "SSE": way([0.02, 0.02]),
}


# -- five ways -----------------------------------------------------------------------


def test_the_table_of_ways_has_a_row_for_each():
    """Ages in milliseconds, and who speaks."""
    rows = day3.ways_table(SEEN).rows
    assert [row[0] for row in rows] == list(SEEN)
    assert rows[2][1] == pytest.approx(20)
    assert rows[0][-1] == "the client asks"
    assert "same 2 events" in day3.ways_table(SEEN).caption


def test_the_median_ages_go_to_the_ledger():
    """In milliseconds, under names that end in their unit."""
    assert day3.median_ages(SEEN) == pytest.approx(
        {"short_ms": 200, "long_ms": 30, "sse_ms": 20}
    )


def test_freshness_is_told_with_the_guess():
    """The median and the slowest of each way."""
    chart = day3.freshness(SEEN, Guess())
    assert chart.facts["SSE"] == "p50 20 ms, p99 20 ms"
    assert "you guessed 42 ms" in chart.title
    assert "guessed" not in day3.freshness(SEEN).title


def test_all_are_complete_or_not():
    """One that lost something is enough."""
    assert day3.complete(SEEN)
    assert not day3.complete(SEEN | {"WebSocket": way([0.1], lost=1)})


def test_the_ways_are_explored_with_another_pause():
    """The sliders' pause goes to the way that polls, their rate to the events."""
    pauses = []

    async def poll(line, heard, pause=9.0):
        pauses.append(pause)
        async with connect(f"ws://127.0.0.1:{line.port}/") as socket:
            async for text in socket:
                heard([json.loads(text)])

    exploration = day3.explore_ways({"WebSocket": poll}, polling="WebSocket")
    told = []
    chart, table = asyncio.run(
        exploration.runner.experiment(
            rate=20, pause=250, latency=5, report=lambda *it: told.append(it)
        )
    )
    assert pauses == [0.25] and told
    assert "WebSocket" in chart.facts and table.rows[0][0] == "WebSocket"


# -- bursts --------------------------------------------------------------------------


def test_answers_are_counted_apart():
    """Those with the first events, and those with the others."""
    together = [Heard(n, n / 10, 5.0, 3) for n in (3, 4, 5)]
    seen = way([0.1, 0.1])
    seen.events += together
    seen.published |= {event.id: event.born for event in together}
    assert day3.answers(seen, 2) == (2, 1)


def test_ages_stand_beside_the_ways_of_the_line():
    """In milliseconds."""
    chart = day3.ages(SEEN, latency=0.02, guess=Guess())
    assert chart.facts["long polling"] == "age on arrival, ms from 30 to 50"


# -- frames --------------------------------------------------------------------------


def test_frames_are_told_field_by_field():
    """Masked from the client, and not from the server; the bytes as they crossed."""

    async def talk():
        async with connect(f"ws://127.0.0.1:{line.port}/") as socket:
            await socket.send("hello")
            await (await socket.ping())

    with ScoreServer() as server, Link(server.sockets) as line:
        asyncio.run(talk())
    rows = day3.frames(line.capture).rows
    assert rows[0][:5] == ["client", "0x1 TEXT", "1", "1", 5]
    assert rows[0][5] == 6 and rows[0][6].startswith("81 85 ")
    assert rows[-1][0] == "server" and rows[-1][6] == "88 02 03 e8"
    assert day3.masks(line.capture) == ({"1"}, {"0"})


# -- drops ---------------------------------------------------------------------------


def test_drops_tell_what_came_late_and_what_never_came():
    """Late is what came much later than the freshest."""
    seen = {"SSE": way([0.02, 0.4, 0.02]), "WebSocket": way([0.02], lost=2)}
    facts = day3.drops(seen, Guess()).facts
    assert facts["SSE"] == "3 events, 1 late, 0 lost"
    assert facts["WebSocket"] == "3 events, 0 late, 2 lost"


def test_a_way_that_lost_all_is_drawn():
    """Then nothing was fresh."""
    assert day3.drops({"WebSocket": way([], lost=2)}).facts == {
        "WebSocket": "2 events, 0 late, 2 lost"
    }


# -- pages and pictures --------------------------------------------------------------


def test_the_browsers_result_is_stored_with_its_words():
    """Small, and labelled as what it is."""
    picture = day3.six_streams()
    assert "Streams 1 to 6 are open" in picture.text()
    assert picture.label == "reference machine"
    assert len(picture.png) < 40_000


# -- connections ---------------------------------------------------------------------


def cost(kernel: float = 5_000.0) -> ConnectionCost:
    return ConnectionCost("websockets", 2000, 48_000.0, kernel, 1.0)


def test_a_connection_is_told_in_its_parts():
    """In kB; where nothing tells the kernel's part there is none."""
    facts = day3.connection_memory([cost()], Guess()).facts
    assert "process 48 kB" in facts["websockets"] and "ends 5 kB" in facts["websockets"]
    assert "kernel" not in day3.connection_memory([cost(math.nan)]).facts["websockets"]


def test_a_million_is_extrapolated_beside_those_that_were_held():
    """Each row says where it is from; clients are not counted."""
    held = Held(
        "epoll",
        1_000_000,
        0,
        51,
        60.0,
        7_000_000_000,
        1_000_000_000,
        9,
        9,
        1,
        1,
        1,
        1,
        1,
    )
    rows = day3.million_table([cost()], [held]).rows
    assert rows[0][1:] == ["53 kB", "53 GB", "extrapolated from 2,000"]
    assert rows[1] == ["epoll, held", "8 kB", "8 GB", "reference machine"]
    assert day3.million_table([cost(math.nan)], []).rows[0][2] == "48 GB"


def test_the_stored_million_is_in_the_table():
    """With nothing told, what the benchmark stored."""
    assert {row[3] for row in day3.million_table([]).rows} == {"reference machine"}


# -- rooms ----------------------------------------------------------------------------


def test_a_room_is_told_by_who_heard():
    """A row for each way to run two servers."""
    [row] = day3.room_table({"nothing": [True, False, True, False]}).rows
    assert row == ["nothing", "heard it", "deaf", "heard it", "deaf"]
