"""helpers/lesson/content/02/blocking.js: what a slow file does to a loop in Node.js."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from helpers.engines.node import Node

SCRIPT = Path(__file__).parent.parent / "helpers/lesson/content/02/blocking.js"
SLOW = 0.3  # seconds until the file has been read

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a named pipe")


@pytest.fixture
def pipe(tmp_path) -> Path:
    path = tmp_path / "slow"
    os.mkfifo(path)
    return path


@pytest.fixture
def http(pipe) -> Iterator[httpx.Client]:
    if (missing := Node.why_not()) is not None:
        pytest.skip(missing)
    with Node(SCRIPT, pipe) as server:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            yield client


class Writer(threading.Thread):
    """Holds the pipe open for a while, once a reader came, and then ends the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.took = 0.0
        self.start()

    def run(self) -> None:
        with self.path.open("wb") as file:  # returns when a reader opens it too
            began = time.monotonic()
            time.sleep(SLOW)
            self.took = time.monotonic() - began
            file.write(b"content")


def test_a_synchronous_read_freezes_the_loop(http, pipe):
    """The heart misses its beats for as long as the file takes."""
    http.get("/beats")
    writer = Writer(pipe)
    assert http.get("/sync").content == b"content"
    writer.join()
    beats = http.get("/beats").json()
    # The file may begin up to a beat before the next one is due.
    assert max(late for _, late in beats) > writer.took - 0.05


def test_others_are_served_during_an_asynchronous_read(http, pipe):
    """The loop is free, so that another request is answered before the file is."""
    reading = threading.Thread(target=http.get, args=("/async",))
    reading.start()
    with pipe.open("wb") as file:  # Node reads now, and gets nothing yet
        assert http.get("/quick").text == "quick"
        assert reading.is_alive()
        file.write(b"content")
    reading.join(60)


def test_beats_are_given_once_and_in_order(http):
    """Each is (seconds since 1970, seconds late); asked again, there are new ones."""
    began = time.time()
    beats: list[list[float]] = []
    while len(beats) < 5:
        beats += http.get("/beats").json()
    assert beats == sorted(beats)
    assert all(abs(when - began) < 60 and late >= 0 for when, late in beats)


def test_what_is_not_there(http):
    """404, and the server goes on."""
    assert http.get("/nothing").status_code == 404
    assert http.get("/quick").text == "quick"
