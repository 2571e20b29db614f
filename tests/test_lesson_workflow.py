"""helpers.lesson.workflow: one workflow in six styles, three of them in Node.js."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from helpers.engines.node import Node
from helpers.lesson.complaints import complaints
from helpers.lesson.workflow import STYLES, all_six, in_node
from helpers.servers.directory import DirectoryServer


@pytest.fixture(scope="module")
def directory():
    with DirectoryServer(delay=0.01) as server:
        yield server


async def others() -> None:
    """Until all other tasks of this loop have ended."""
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(tasks)


every_style = pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
ANSWERS = {
    7: {"name": "Ada", "videos": 2, "friends": 2},
    9: {"name": "Alan", "videos": 0, "friends": 0},
    13: {"error": "/users/13/videos: 500 Internal Server Error"},
    5: {"error": "/users/5: 404 Not Found"},
}


async def settled(style: Callable, user: str) -> dict:
    """What a workflow comes to; it leaves no task and nothing to complain about."""
    with complaints() as heard:
        answer = await style(user)
        await others()
    assert heard == []
    return answer


@every_style
@pytest.mark.parametrize("user", ANSWERS)
def test_the_styles_come_to_the_same(directory, style, user):
    """The same answer, and the same error, told once."""
    address = directory.make_url(f"/users/{user}")
    assert asyncio.run(settled(style, address)) == ANSWERS[user]


@every_style
def test_two_failures_at_once_are_told_once(style):
    """Both lists fail: the caller hears of one, and nothing is left of the other."""

    class Broken(DirectoryServer):
        friends = DirectoryServer.videos

    with Broken(delay=0.01) as server:
        answer = asyncio.run(settled(style, server.make_url("/users/13")))
    assert answer["error"].endswith(": 500 Internal Server Error")


@every_style
def test_the_lists_are_fetched_at_once(style):
    """The second is asked for before the first has answered."""
    with DirectoryServer(delay=1) as server:
        asyncio.run(settled(style, server.make_url("/users/7")))
    user, *lists = server.log
    assert all(user.ended <= lookup.started for lookup in lists)
    assert lists[1].started < lists[0].ended


@pytest.mark.parametrize("user", ANSWERS)
def test_node_comes_to_the_same(directory, user):
    """Callbacks, promises and async/await in Node.js: the same three times."""
    told = asyncio.run(in_node(directory.make_url(f"/users/{user}")))
    assert told == dict.fromkeys(("callbacks", "promises", "async"), ANSWERS[user])


def test_all_six_are_told_by_name(directory):
    """As the notebook shows them."""
    told = asyncio.run(all_six(directory.make_url("/users/7")))
    names = [f"Python, {style}" for style in STYLES]
    names += ["Node.js, callbacks", "Node.js, promises", "Node.js, async"]
    assert told == dict.fromkeys(names, ANSWERS[7])


def test_without_node_there_is_a_line_instead(monkeypatch, capsys):
    """It says how to get it, and the notebook goes on."""
    monkeypatch.setattr(Node, "why_not", classmethod(lambda cls: "no node. Install it"))
    assert asyncio.run(in_node("http://127.0.0.1:1/users/7")) == {}
    assert capsys.readouterr().out == "no node. Install it\n"
