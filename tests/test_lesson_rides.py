"""helpers.lesson.rides"""

import asyncio

import httpx

from helpers.lesson.rides import in_chunks, mean_time, ride

FILM = bytes(range(256)) * 400


async def plain(line, film):
    async with httpx.AsyncClient(base_url=line.url) as client:
        (await client.put("/plain/film", content=film)).raise_for_status()


def test_a_ride_carries_the_film_and_tells_what_crossed():
    """At least the film's bytes, on one connection when nothing breaks."""
    crossed = asyncio.run(ride(plain, FILM, seed=1))
    assert crossed.bytes_to_server > len(FILM)
    assert crossed.connections == 1


def test_tuspy_gets_through_a_road_that_breaks():
    """Unchanged, in chunks with and without a checksum, through the same cuts."""
    for check in (True, False):
        upload = in_chunks(20_000, check=check)
        crossed = asyncio.run(ride(upload, FILM, seed=2, cut_every=40_000))
        broken = [c for c in crossed if c.event == "cut"]
        assert broken, "the road did not break: this test tests nothing"
        assert crossed.bytes_to_server > len(FILM)


def test_mean_time_is_over_several_roads():
    """Two rides at once, over a line whose delay bounds the mean from below."""
    upload = in_chunks(len(FILM), check=False)
    mean = asyncio.run(mean_time(upload, FILM, {"latency": 0.01}, rides=2))
    assert mean >= 4 * 2 * 0.01  # create and send: a handshake and a trip each
