"""helpers.lesson.ledger_file"""

import json
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from helpers.lesson import ledger

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    path = tmp_path / "ledger.json"
    monkeypatch.setenv("WORKBOOK_LEDGER", str(path))
    return path


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"version": 0}', "\x00\x01", '{"version": 1, "figures": []}'],
)
def test_a_broken_file_is_kept_aside(path, content):
    """A ledger that can not be read is kept as .broken, a new one begins, it is said"""
    path.write_text(content)
    with pytest.warns(UserWarning, match="could not be read"):
        assert ledger.recall("key") is None
    ledger.record("key", 1)
    assert ledger.recall("key") == 1
    assert Path(f"{path}.broken").read_text() == content


def test_a_ledger_that_can_not_be_written_stops_no_notebook(monkeypatch, tmp_path):
    """Without a writable folder recording warns, and the lesson goes on."""
    monkeypatch.setenv("WORKBOOK_LEDGER", str(tmp_path / "gone" / "ledger.json"))
    with pytest.warns(UserWarning, match="can not be written"):
        ledger.record("key", 1)


def test_threads_lose_nothing():
    """A slider's thread and the cell's may record at once."""
    threads = [
        threading.Thread(target=ledger.record, args=(f"key{n}", n)) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ledger.recall(f"key{n}") for n in range(20)] == list(range(20))


def test_two_kernels_lose_nothing(path):
    """Two processes that record at once both find their figures afterwards."""
    code = (
        "import sys; from helpers.lesson.ledger import record\n"
        "for n in range(50): record(f'{sys.argv[1]}{n}', n)"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    kernels = [
        subprocess.Popen([sys.executable, "-c", code, name], env=env) for name in "ab"
    ]
    assert [kernel.wait() for kernel in kernels] == [0, 0]
    assert len(json.loads(path.read_text())["figures"]) == 100


def test_no_file_is_left_behind(path):
    """Beside the ledger there is its lock, and nothing else."""
    ledger.record("key", 1)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "ledger.json",
        "ledger.json.lock",
    ]


def test_reading_warns_of_nothing():
    """A fresh clone without a ledger is no reason to warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ledger.recall("key")
        ledger.progress_board()
