"""labs/lab1-resumable-upload"""

import asyncio
import threading

import pytest

from helpers.server import running
from tests.labs.harness import LabProof

PROOF = LabProof("lab1-resumable-upload")


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert running() == []
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"restart", "lab check_0"}


def test_the_lab_is_large_enough():
    """Requirements, wrong submissions, and none of the former without the latter."""
    PROOF.assert_enough()


def test_the_stub_passes_nothing():
    """As the notebook comes, nothing is met, and it takes a moment to say so."""
    PROOF.assert_stub_passes_nothing()


def test_the_solution_passes_everything():
    """All nine, with the same text every time."""
    PROOF.assert_solution_passes()


@pytest.mark.parametrize("path", PROOF.wrong, ids=lambda path: path.stem)
def test_a_wrong_submission_is_caught(path):
    """By the requirement that it names, and by nothing unrelated."""
    PROOF.assert_caught(path)


def test_an_endless_loop_is_ended(monkeypatch):
    """It ends in a message, within the time limit of one requirement."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")

    async def upload(url, data, client):
        while True:
            pass

    PROOF.assert_ends(upload, "did not end within 1 s")


def test_a_hang_is_ended(monkeypatch):
    """It ends in a message, within the time limit of one requirement."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")

    async def upload(url, data, client):
        await asyncio.Event().wait()

    PROOF.assert_ends(upload, "did not end within 1 s")
