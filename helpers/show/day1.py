"""The pictures of day 1: its measurements in, charts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from helpers.lesson.rides import in_chunks, ride
from helpers.measure.models import expected_bytes, expected_upload_time
from helpers.measure.staleness import delays
from helpers.measure.units import number
from helpers.network.capture import Capture
from helpers.show.charts import Chart, bars, lines, stacked, steps
from helpers.show.explore import Exploration, Slider, explore
from helpers.show.tables import Table, table

__all__ = [
    "attempts",
    "chunk_sizes",
    "delay_ms",
    "dns_cache",
    "explore_chunks",
    "keep_alive",
    "mean_MB",
    "polling_picture",
    "polling_table",
    "upload_cost",
    "useless_percent",
]

MB = 1e6
Seen = Sequence[tuple[float, int]]


def keep_alive(fresh: Capture, kept: Capture, guess: Any = None) -> Chart:
    """How long the same requests took on new connections and on one that is kept."""
    return bars(
        {
            f"{c.connections} connection{'s' * (c.connections > 1)}, "
            f"{c.round_trips} round trips": c.duration * 1e3
            for c in (fresh, kept)
        },
        unit="time for all requests, ms",
        guess=guess,
        title="A kept connection saves one round trip a request, not more",
        alt="The requests on new connections take about twice as long as those on "
        "one kept connection.",
    )


def dns_cache(seconds: Sequence[float]) -> Chart:
    """How long it took to ask for a name, again, for a name that is not, again."""
    asked = ("a name", "the name again", "one that is not", "that one again")
    return bars(
        {what: 1e3 * took for what, took in zip(asked, seconds, strict=True)},
        unit="time to answer, ms (logarithmic)",
        log=True,
        title="Whoever asks again need not wait for the far server",
        alt="The first question for each name takes more than a round trip of 40 ms, "
        "the second one a few milliseconds at most.",
    )


def upload_cost(
    whole: Sequence[Capture],
    resumed: Sequence[Capture],
    size: float,
    cut_every: float,
    guess: Any = None,
) -> Chart:
    """Bytes that crossed for an upload of ``size`` bytes, on average over the rides."""
    model = expected_bytes(size, cut_every) / MB
    return bars(
        {
            "one request, measured": mean_MB(whole),
            "one request, model": model,
            "resumable, measured": mean_MB(resumed),
        },
        unit=f"MB that crossed, mean of {len(whole)} uploads of {size / MB:g} MB",
        guess=guess,
        title="Starting again sends the film several times over, resuming once",
        alt=f"In one request the film crosses several times over, by the model "
        f"{model:.0f} MB on average; resumable it crosses once.",
    )


def mean_MB(captures: Sequence[Capture]) -> float:
    """Megabytes that crossed to the server, on average."""
    return float(np.mean([capture.bytes_to_server for capture in captures])) / MB


def attempts(rides: Sequence[Capture]) -> Chart:
    """The ride with most attempts, each as long as it came; only the last counts."""
    ride = max(rides, key=lambda capture: capture.connections)
    *broken, last = ride.log.values()
    rows = {
        f"attempt {account.number}": {"wasted": account.bytes_to_server / MB}
        for account in broken
    }
    rows[f"attempt {last.number}"] = {"useful": last.bytes_to_server / MB}
    return stacked(
        rows,
        unit="MB that crossed before the line broke",
        title=f"The worst ride took {ride.connections} attempts; one was of use",
        alt="Each attempt but the last breaks part of the way, and all that it sent "
        "is wasted.",
    )


def _expected(size: float, chunk: float, road: Mapping[str, float]) -> float:
    """The model, for a client that opens a connection for each request, as tuspy does.

    So a chunk costs the handshake and the request; a cut costs the handshake and
    half the request of what broke, then both again to ask how far it got.
    """
    return expected_upload_time(
        size,
        chunk,
        cut_every=road["cut_every"],
        bandwidth=road["bandwidth"],
        round_trip=2 * road["latency"],
        trips_per_chunk=2,
        trips_per_cut=3.5,
    )


def chunk_sizes(
    chunks: Sequence[float],
    lost: Sequence[float],
    kept: Sequence[float],
    size: float,
    road: Mapping[str, float],
    guess: Any = None,
) -> Chart:
    """Time for an upload of ``size`` bytes against the chunk size in bytes.

    ``lost`` are the seconds where a broken chunk is thrown away, ``kept`` where the
    server keeps what arrived; ``road`` is what the link was given.
    """
    kb = np.array(chunks) / 1e3
    grid = np.geomspace(kb[0], kb[-1], 60)
    model = [_expected(size, 1e3 * chunk, road) for chunk in grid]
    marks = {}
    if guess is not None and guess.value is not None:
        marks["your guess"] = (guess.value, float(np.interp(guess.value, kb, lost)))
    return lines(
        {"a broken chunk is lost": (kb, lost), "what arrived is kept": (kb, kept)},
        models={"lost": (grid, model)},
        x="chunk size, kB (logarithmic)",
        y=f"time for {size / MB:g} MB, s",
        log="x",
        lowest="a broken chunk is lost",
        marks=marks,
        title="Chunks have a sweet spot, but only where a broken one is lost",
        alt="Where broken chunks are lost, the time falls and then rises with the "
        "chunk size, as the model expects. Where the server keeps what arrived, it "
        "only falls.",
    )


def explore_chunks(*, size: int, bandwidth: float) -> Exploration:
    """Sliders over one upload of ``size`` bytes in checked chunks."""

    async def one_ride(*, chunk: int, latency: int, cut_every: int) -> Chart:
        road = {
            "latency": latency / 1e3,
            "bandwidth": bandwidth,
            "cut_every": cut_every * 1e3,
        }
        upload = in_chunks(chunk * 1000, check=True)
        taken = await ride(upload, bytes(size), seed=1, **road)
        return _one_ride(taken, chunk * 1e3, size, road)

    return explore(
        one_ride,
        chunk=Slider(32, 1000, 16, 256, unit="kB", label="chunk size"),
        latency=Slider(0, 50, 5, 10, unit="ms", label="latency, one way"),
        cut_every=Slider(300, 3000, 100, 700, unit="kB", label="a cut every"),
    )


def _one_ride(
    taken: Capture, chunk: float, size: float, road: Mapping[str, float]
) -> Chart:
    expected = _expected(size, chunk, road)
    return bars(
        {
            f"this ride: {taken.connections} connections": taken.duration,
            "mean of many rides, by the model": expected,
        },
        unit=f"time for {size / MB:g} MB, s",
        title=f"{number(taken.duration)} s here, {number(expected)} s expected",
        alt="The time of one ride beside the time that the model expects on average.",
    )


def delay_ms(history: Seen, seen: Seen) -> float:
    """Milliseconds from a change until it was seen, on average."""
    return float(delays(history, seen).mean()) * 1e3


def polling_table(history: Seen, watched: Mapping[float, Seen]) -> Table:
    """For each pace in seconds: what it asked, what it heard, how late it was."""
    rows = []
    for pace, seen in watched.items():
        late = delays(history, seen)
        rows.append(
            {
                "asks every": f"{pace * 1e3:g} ms",
                "requests": len(seen),
                "nothing new in": f"{useless_percent(seen):.0f} %",
                "news late by, mean": f"{late.mean() * 1e3:.0f} ms",
                "at worst": f"{late.max() * 1e3:.0f} ms",
            }
        )
    return table(rows, caption="The same counter, watched at three paces")


def useless_percent(seen: Seen) -> float:
    """The share of the answers that told nothing new."""
    return 100 * (1 - len({value for _, value in seen}) / len(seen))


def polling_picture(history: Seen, seen: Seen) -> Chart:
    """The true value, and what one client believed it to be."""
    start = history[0][0]
    return steps(
        *(
            ([moment - start for moment, _ in curve], [value for _, value in curve])
            for curve in (history, seen)
        ),
        x="time, s",
        y="value",
        title="Between two questions the client believes what was true before",
        alt="The value seen follows the true one in larger steps, up to a whole "
        "interval late.",
    )
