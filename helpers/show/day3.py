"""The pictures of day 3: its measurements in, charts and tables out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from helpers.lesson import content
from helpers.lesson.connections import ConnectionCost
from helpers.lesson.listeners import Heard, Listened, Way, chance, listen
from helpers.lesson.million import Held, million
from helpers.measure.units import size
from helpers.network import Capture, decode
from helpers.network.capture import Direction
from helpers.network.message import Message
from helpers.show.canvas import COLOURS, TEXT, Canvas, Chart
from helpers.show.charts import cdf, lines, stacked
from helpers.show.display import MEASURED, REFERENCE, Display
from helpers.show.explore import Exploration, Slider, explore
from helpers.show.guess_words import guessed
from helpers.show.links import links
from helpers.show.picture import Picture
from helpers.show.storms import storms
from helpers.show.tables import Table, table

__all__ = [
    "NAMES",
    "ages",
    "answers",
    "complete",
    "connection_memory",
    "drops",
    "explore_ways",
    "frames",
    "freshness",
    "links",
    "masks",
    "median_ages",
    "million_table",
    "room_table",
    "six_streams",
    "storms",
    "ways_table",
]


CONTENT = Path(content.__file__).parent / "03"


# -- 1. five ways --------------------------------------------------------------------

DIRECTIONS = {
    "short polling": "the client asks",
    "long polling": "the client asks, the server holds",
    "WebSocket": "both, at any time",
}


def ways_table(seen: Mapping[str, Listened]) -> Table:
    """What each way heard, how fresh, and at what cost."""
    return table(
        [
            {
                "way": name,
                "freshness p50, ms": way.percentile(50) * 1e3,
                "p99, ms": way.percentile(99) * 1e3,
                "requests": way.requests,
                "bytes an event": way.bytes_per_event,
                "open connections": way.connections,
                "who speaks": DIRECTIONS.get(name, "the server, after one request"),
            }
            for name, way in seen.items()
        ],
        caption=f"The same {_count_of_events(seen)} events, heard in several ways; "
        "counted while all were listening",
        label=MEASURED,
    )


def _count_of_events(seen: Mapping[str, Listened]) -> int:
    return len(next(iter(seen.values())).published)


def complete(seen: Mapping[str, Listened]) -> bool:
    """Whether all heard of every event once, and in order."""
    return all(way.complete for way in seen.values())


def median_ages(seen: Mapping[str, Listened]) -> dict[str, float]:
    """For the ledger: the median age of an event on arrival, in milliseconds."""
    keys = {"short polling": "short_ms", "long polling": "long_ms", "SSE": "sse_ms"}
    return {key: seen[name].percentile(50) * 1e3 for name, key in keys.items()}


def freshness(seen: Mapping[str, Listened], guess: Any = None) -> Chart:
    """The age of each event when it arrived. ``guess`` is a median, in ms."""
    return cdf(
        {name: way.ages for name, way in seen.items()},
        unit="ms",
        what="age of an event on arrival (logarithmic)",
        title="Whoever is told hears after one way of the line; whoever asks, on asking"
        + guessed(guess, "ms"),
        alt="Of the streams and of the WebSocket most events arrive after the line's "
        "latency. Long polling is close. With short polling the age is anything up "
        "to the pause between two questions, and three ways of the line.",
    )


def explore_ways(ways: Mapping[str, Way], *, polling: str) -> Exploration:
    """Sliders over ``ways``; ``polling`` names the one that takes a ``pause``."""

    async def freshness_of(
        *, rate: int, pause: int, latency: int, report: Callable[..., None]
    ) -> list[Display]:
        report(0, 1, "all listen for 3 seconds")
        paused = {polling: partial(ways[polling], pause=pause / 1e3)}
        moments = chance(every=1 / rate, seconds=3.0)
        seen = await listen({**ways, **paused}, moments, latency=latency / 1e3)
        return [freshness(seen), ways_table(seen)]

    return explore(
        freshness_of,
        rate=Slider(1, 100, 1, 10, unit="a second", label="events"),
        pause=Slider(50, 2000, 50, 500, unit="ms", label="pause between polls"),
        latency=Slider(0, 200, 5, 20, unit="ms", label="latency, one way"),
    )


# -- 2. slow events, and a burst -----------------------------------------------------


def ages(seen: Mapping[str, Listened], *, latency: float, guess: Any = None) -> Chart:
    """How old each event was on arrival, by when it happened.

    ``latency`` is the line's, one way, in seconds: the model has it once for a push,
    and three times for the worst of long polling. ``guess`` is in milliseconds.
    """
    ends = [min(_births(seen)), max(_births(seen))]
    bounds = {"one way": latency, "three ways": 3 * latency}
    return lines(
        {
            name: (
                [event.born for event in way.events],
                [event.age * 1e3 for event in way.events],
            )
            for name, way in seen.items()
        },
        models={name: (ends, [bound * 1e3] * 2) for name, bound in bounds.items()},
        x="moment of the event, s",
        y="age on arrival, ms",
        guess=guess,
        title="Long polling is as fresh as a push, until events come faster than "
        "round trips",
        alt="Slow events arrive after one way of the line, by either way. In the burst "
        "the WebSocket stays there, and long polling climbs to three ways and falls "
        "again, batch after batch.",
    )


def answers(way: Listened, first: int) -> tuple[int, int]:
    """In how many answers the ``first`` events came, and in how many the others."""
    split = sorted(way.published)[first]
    before = {event.arrived for event in way.events if event.id < split}
    return len(before), way.answers - len(before)


def _births(seen: Mapping[str, Listened]) -> list[float]:
    return [moment for way in seen.values() for moment in way.published.values()]


# -- 3. frames -----------------------------------------------------------------------


def frames(capture: Capture, bytes_shown: int = 14) -> Table:
    """Each WebSocket frame of a capture: its header, field by field, and its bytes."""
    found = [m for m in decode(capture) if m.protocol == "WebSocket"]
    return table(
        [_frame(message, bytes_shown) for message in found],
        caption="Every frame, field by field",
        label=MEASURED,
    )


def _frame(message: Message, bytes_shown: int) -> dict[str, object]:
    fields = dict(message.headers)
    more = " …" if len(message.raw) > bytes_shown else ""
    to_server = message.direction is Direction.TO_SERVER
    return {
        "from": "client" if to_server else "server",
        "opcode": fields["opcode"],
        "FIN": fields["FIN"],
        "MASK": fields["MASK"],
        "length": int(fields["payload length"].replace(",", "")),
        "overhead, bytes": message.size - len(message.body),
        "on the wire": message.raw[:bytes_shown].hex(" ") + more,
    }


def masks(capture: Capture) -> tuple[set[str], set[str]]:
    """Which values of the bit MASK the client's frames had, and the server's."""
    found: dict[Direction, set[str]] = {direction: set() for direction in Direction}
    for message in decode(capture):
        if message.protocol == "WebSocket":
            found[message.direction].add(dict(message.headers)["MASK"])
    return found[Direction.TO_SERVER], found[Direction.TO_CLIENT]


# -- 4. a line that drops ------------------------------------------------------------

LATE = 0.05  # seconds beyond the freshest: it was heard only after a reconnect


def drops(seen: Mapping[str, Listened], guess: Any = None) -> Chart:
    """What each way heard of events around cuts of its line: at once, late, never.

    ``guess`` is how many the last way loses.
    """
    names = list(seen)
    with Canvas(
        "After a cut, what counts is whether the client can say how far it got"
        + guessed(guess, "lost"),
        "At each cut all ways lose their connection. Those that say the number of "
        "their last event get what came meanwhile, late; the other one never does.",
        MEASURED,
        height=1.9 + 0.62 * len(names),
    ) as canvas:
        for row, (name, way) in enumerate(seen.items()):
            _draw_row(canvas, row, way)
            canvas.facts[name] = (
                f"{len(way.published)} events, {len(_late(way))} late, "
                f"{len(way.missed)} lost"
            )
        for number_of_cut, moment in enumerate(seen[names[0]].cuts, 1):
            canvas.upright(moment, f"cut {number_of_cut}")
        canvas.axes.set_yticks(
            range(len(names)),
            [f"{name}\n{len(seen[name].missed)} lost" for name in names],
        )
        canvas.axes.set_ylim(len(names) - 0.4, -1.0)  # room for the cuts' names
        canvas.axes.set_xlabel("moment of the event, s", fontsize=TEXT)
        canvas.axes.grid(axis="y", visible=False)
        canvas.legend()
    return canvas.chart


def _late(way: Listened) -> list[Heard]:
    return [event for event in way.events if event.age > min(way.ages) + LATE]


def _draw_row(canvas: Canvas, row: int, way: Listened) -> None:
    late = _late(way)
    prompt = [event.born for event in way.events if event not in late]
    lost = [way.published[number] for number in way.missed]
    _draw_marks(canvas, row, prompt, "o", COLOURS[0], "heard at once")
    _draw_marks(canvas, row, [e.born for e in late], "s", COLOURS[1], "heard late")
    _draw_marks(canvas, row, lost, "x", "#d55e00", "lost")


def _draw_marks(
    canvas: Canvas, row: int, at: list[float], marker: str, colour: str, kind: str
) -> None:
    canvas.axes.plot(
        at,
        [row] * len(at),
        marker,
        color=colour,
        markersize=5,
        label=kind if row == 0 else None,
    )


# -- 5. six streams ------------------------------------------------------------------


def six_streams() -> Picture:
    """What a real browser made of ten streams to one host."""
    return Picture(
        CONTENT / "six-streams.png",
        width=420,
        title="Ten streams in Chromium: six are open, four wait",
        alt="A table of ten streams to one host. Streams 1 to 6 are open and have "
        "heard 18 events each. Streams 7 to 10 wait for a connection, and have heard "
        "none.",
        label=REFERENCE,
    )


# -- 6. what a connection costs ------------------------------------------------------

MILLION = 1_000_000


def connection_memory(costs: Sequence[ConnectionCost], guess: Any = None) -> Chart:
    """Kilobytes for an idle connection, in the server's process and in the kernel."""
    return stacked(
        {cost.server: _parts(cost) for cost in costs},
        unit="kB for each connection",
        title="An idle connection costs what the library keeps for it"
        + guessed(guess, "kB"),
        alt="Compression takes the most. Without it a connection costs a third, and a "
        "bare protocol next to nothing in the server; the kernel's part, "
        "the median of all four, is the same for each.",
        label=MEASURED,
    )


def _parts(cost: ConnectionCost) -> dict[str, float]:
    parts = {"the server's process": cost.user_bytes / 1e3}
    if not math.isnan(cost.kernel_bytes):
        parts["the kernel, both ends"] = cost.kernel_bytes / 1e3
    return parts


def million_table(
    costs: Sequence[ConnectionCost], held: Iterable[Held] | None = None
) -> Table:
    """What a million would take by a straight line, beside those that were held.

    ``held`` are the stored runs of `bench million` unless told.
    """
    rows = [
        {
            "server": cost.server,
            "one connection": size(at.bytes / MILLION),
            "a million": size(at.bytes),
            "where from": at.label,
        }
        for cost in costs
        for at in [_whole(cost).at(MILLION)]
    ]
    rows += [
        {
            "server": f"{run.server}, held",
            "one connection": size(_without_client(run) / run.connections),
            "a million": size(_without_client(run) * MILLION / run.connections),
            "where from": run.label,
        }
        for run in (million() if held is None else held)
    ]
    return table(
        rows, caption="A million idle connections: connections × the cost of one"
    )


def _whole(cost: ConnectionCost) -> ConnectionCost:
    """Where nothing tells the kernel's part, it is left out."""
    return replace(cost, kernel_bytes=np.nan_to_num(cost.kernel_bytes))


def _without_client(run: Held) -> float:
    """Server and kernel, as connection_costs() counts; the clients' processes not."""
    return run.server_bytes + run.kernel_bytes


# -- 7. rooms on two servers, and everybody at once ----------------------------------


NAMES = ("Ann", "Bo", "Cy", "Di")


def room_table(heard: Mapping[str, Sequence[bool]]) -> Table:
    """Who of NAMES heard what Ann said, for each way to run two servers."""
    return table(
        [
            {"between the servers": how}
            | {name: _ear(did) for name, did in zip(NAMES, who, strict=True)}
            for how, who in heard.items()
        ],
        caption="Ann says hello. Who hears it?",
        label=MEASURED,
    )


def _ear(heard: bool) -> str:
    return "heard it" if heard else "deaf"
