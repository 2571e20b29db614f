"""helpers.servers.directory"""

import asyncio

import httpx
import pytest

from helpers.servers.directory import DirectoryServer


@pytest.fixture
def server():
    with DirectoryServer(delay=0) as server:
        yield server
        assert not server.errors


def test_it_knows_users_and_what_they_have(server):
    """A user, their videos and their friends are three resources."""
    answers = [
        httpx.get(server.make_url(path)).json()
        for path in ("/users/7", "/users/7/videos", "/users/7/friends")
    ]
    assert answers == [
        {"id": 7, "name": "Ada"},
        ["Notes on an engine", "Poetical science"],
        ["Charles", "Mary"],
    ]


def test_one_user_has_videos_that_fail(server):
    """User 13 is there, and so are the friends; the videos answer 500."""
    assert httpx.get(server.make_url("/users/13")).json()["name"] == "Murphy"
    assert httpx.get(server.make_url("/users/13/friends")).status_code == 200
    answer = httpx.get(server.make_url("/users/13/videos"))
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Murphy" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/users/5", "/users/5/videos", "/users/5/friends"])
def test_an_unknown_user_is_404(server, path):
    """The answer names those that there are."""
    answer = httpx.get(server.make_url(path))
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no user 5; there are 7, 8, 9, 13."


@pytest.mark.parametrize("path", ["/", "/users/ada", "/users/7/cars", "/users/-1"])
def test_other_paths_are_404(server, path):
    """There is nothing else."""
    assert httpx.get(server.make_url(path)).status_code == 404


def test_the_log_tells_what_ran_at_once():
    """Two requests made together overlap in time; each took the delay."""

    async def ask(server: DirectoryServer) -> None:
        async with httpx.AsyncClient(base_url=server.url) as client:
            paths = ("/users/7/videos", "/users/7/friends")
            await asyncio.gather(*map(client.get, paths))

    with DirectoryServer(delay=1) as server:
        asyncio.run(ask(server))
    first, second = server.log
    assert {first.path, second.path} == {"/users/7/videos", "/users/7/friends"}
    assert second.started < first.ended
    # A loop's clock may be a hair coarser than perf_counter.
    assert all(lookup.ended - lookup.started > 0.99 for lookup in server.log)


def test_the_log_is_bounded(server, monkeypatch):
    """It keeps the latest."""
    monkeypatch.setattr("helpers.servers.directory.REMEMBERED", 2)
    for number in (7, 8, 9):
        httpx.get(server.make_url(f"/users/{number}"))
    assert [lookup.path for lookup in server.log] == ["/users/8", "/users/9"]


@pytest.mark.parametrize("delay", [-1, float("inf"), float("nan")])
def test_a_delay_that_is_none_is_refused(delay):
    """The error names the parameter and its unit."""
    with pytest.raises(ValueError, match="delay is in seconds"):
        DirectoryServer(delay=delay)
