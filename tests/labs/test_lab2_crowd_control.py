"""labs/lab2-crowd-control"""

import asyncio
import threading
from pathlib import Path

import pytest

from helpers.server import running
from labs.checks import lab2_crowd_control
from labs.checks.hostile_api import Visit
from labs.checks.lab2_crowd_control import FETCHER, check
from labs.checks.lab2_frozen_server import SHOP
from labs.checks.timeline import draw_visits
from labs.solutions.lab2_crowd_control import VideoShop
from tests.labs.harness import LabProof

PROOF = LabProof("lab2-crowd-control")


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert running() == []
    assert "lab check_0" not in {thread.name for thread in threading.enumerate()}


def test_the_lab_is_large_enough():
    """Requirements, wrong submissions, and none of the former without the latter."""
    PROOF.assert_enough()


def test_the_stub_passes_nothing():
    """As the notebook comes, nothing of part 1 is met, and that is soon said."""
    PROOF.assert_stub_passes_nothing()


def test_the_given_server_passes_nothing():
    """As the notebook comes, each requirement of part 2 finds the loop blocked."""
    PROOF.assert_given_fails_all(SHOP)


def test_the_solution_passes_everything():
    """Both parts, with the same text every time."""
    PROOF.assert_solution_passes()


@pytest.mark.parametrize("path", PROOF.wrong, ids=lambda path: path.stem)
def test_a_wrong_submission_is_caught(path, monkeypatch):
    """By the requirement that it names, and by nothing unrelated.

    Who is caught does not hang on how many requests there are in the plain case, and
    httpx needs 3 ms of processor time for each.
    """
    monkeypatch.setattr(lab2_crowd_control, "ALL", 60)
    PROOF.assert_caught(path)


def test_an_endless_loop_is_ended(monkeypatch):
    """It ends in a message, within the time limit of one requirement."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")

    async def fetch_all(requests, limit, timeout, tries):
        while True:
            pass

    PROOF.assert_ends(fetch_all, "did not end within 2 s")


def test_a_hang_is_ended(monkeypatch):
    """It ends in a message, within the time limit of one requirement."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")

    async def fetch_all(requests, limit, timeout, tries):
        await asyncio.Event().wait()

    PROOF.assert_ends(fetch_all, "did not end within 2 s")


def test_a_server_that_hangs_is_ended(monkeypatch):
    """Each requirement of part 2 ends in a message."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")

    class Hangs(VideoShop):
        async def hello(self, request):
            while True:
                pass

    report = check(Hangs)
    assert "did not end within 3 s" in report.failed["login"]


@pytest.mark.parametrize(
    "handed_in", [VideoShop(Path(), "http://127.0.0.1"), VideoShop]
)
def test_one_check_for_both_parts(handed_in, monkeypatch):
    """A class, or one of its servers, is for part 2; all else for part 1."""
    called = []
    monkeypatch.setattr(SHOP, "check", called.append)
    monkeypatch.setattr(FETCHER, "check", lambda work: called.append("part 1"))
    check(handed_in)
    check(print)
    assert called == [handed_in, "part 1"]


def test_the_picture_of_a_failed_run():
    """A bar for each visit, a mark for a short one, also in words; or no picture."""
    visits = [
        Visit(7, "GET", 1, 10.0, 10.5, "503"),
        Visit(8, "GET", 1, 10.0, None),
        Visit(7, "GET", 2, 11.0, 12.0, "200"),
        Visit(9, "GET", 1, 11.0, 11.001, "200"),
    ]
    facts = draw_visits(visits, "What the server saw").facts
    assert facts["item 7"] == "503, 0 to 0.5 s; 200, 1 to 2 s"
    assert facts["item 8"] == "0 to 2 s"  # it never got away
    assert facts["item 9"] == "200, 1 s"  # a moment
    assert draw_visits([], "nothing") is None


CLIENTS = """
import asyncio, random
import aiohttp

async def fetch_all(requests, limit=20, timeout=1.0, tries=4):
    slots = asyncio.Semaphore(limit)
    clock = aiohttp.ClientTimeout(total=timeout)

    async def fetch(session, method, url, headers):
        for attempt in range(tries):
            may_repeat = method != "POST" or "Idempotency-Key" in headers
            try:
                async with slots, session.request(
                    method, url, headers=headers, timeout=clock
                ) as response:
                    response.raise_for_status()
                    return await response.text()
            except aiohttp.ClientResponseError as error:
                if error.status not in (429, 503):
                    raise
                problem = error
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                problem = error
            if not may_repeat or attempt == tries - 1:
                raise problem
            await asyncio.sleep(random.uniform(0.5, 1) * 0.1 * 2**attempt)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0)
    ) as session:
        tasks = [asyncio.create_task(fetch(session, *one)) for one in requests]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
"""


def test_another_client_and_another_shape_pass():
    """aiohttp and gather() do as well: what it does is judged, not how it looks."""
    names: dict = {"__name__": "another"}
    exec(CLIENTS, names)
    report = check(names["fetch_all"])
    assert report, f"\n{report}"
