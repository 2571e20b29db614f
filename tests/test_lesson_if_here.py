"""helpers.lesson.if_here."""

import pytest

from helpers.engines.node import Node
from helpers.lesson import ledger
from helpers.lesson.if_here import if_here


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "serve.js"
    path.write_text(
        'const server = require("http").createServer((_, to) => to.end("hello"));'
        'server.listen(0, "127.0.0.1", () => console.log(server.address().port));'
    )
    return path


def test_an_engine_runs_for_one_turn(script):
    """It is started before the turn, and stopped after it."""
    turns = []
    for node in if_here(Node(script)):
        assert node.running
        turns.append(node)
    [node] = turns
    assert not node.running


def test_it_stops_when_the_turn_fails(script):
    """A generator that is closed ends its ``with`` too."""
    turn = if_here(Node(script))
    node = next(turn)
    turn.close()
    assert not node.running


def test_a_missing_engine_has_no_turn(script, monkeypatch, capsys):
    """One line says how to get it, one what the reference machine saw."""
    monkeypatch.setattr(Node, "why_not", classmethod(lambda cls: "no node. Install it"))
    figure = ledger.Figure(500.0, "ms", "reference machine")
    monkeypatch.setattr(ledger, "reference", lambda: {"node_freeze_ms": figure})
    assert list(if_here(Node(script), "node_freeze_ms", "not_stored_ms")) == []
    assert capsys.readouterr().out.splitlines() == [
        "no node. Install it",
        "reference machine: node_freeze 500 ms",
    ]
