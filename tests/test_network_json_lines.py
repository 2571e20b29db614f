"""helpers/network/json_lines.py: a body of which each line is a value."""

from __future__ import annotations

import pytest

from helpers.network.json_lines import json_lines


def test_each_line_is_a_part():
    """With its content, and its end behind its LF."""
    first, second = json_lines(b'{"id": 1}\n[2]\r\n', False)
    assert (first.kind, first.title, first.end) == ("line", '{"id": 1}', 10)
    assert (second.content, second.end) == (b"[2]", 15)
    assert not first.note and not second.note


def test_the_last_line_needs_no_end_once_the_body_ended():
    """Before, more of it may come."""
    assert [p.complete for p in json_lines(b"1\n2", False)] == [True, False]
    assert [p.complete for p in json_lines(b"1\n2", True)] == [True, True]


def test_a_blank_line_is_no_value():
    """Some servers keep a connection busy with them."""
    assert [p.kind for p in json_lines(b"\n1\n\r\n", False)] == [
        *("blank line", "line", "blank line")
    ]


@pytest.mark.parametrize(
    ("line", "note"),
    [
        (b"{", "this is not JSON: Expecting property name"),
        (b"1 2", "this is not JSON: Extra data at character 2"),
        (b"\xff", "this is not JSON: no valid UTF-8"),
        (b"9" * 5000, "this may be JSON, but not for Python's reader"),
        (b"[" * 100_000, "this may be JSON, but not for Python's reader"),
    ],
    ids=["open", "two", "bytes", "digits", "brackets"],
)
def test_a_line_that_is_no_json_says_so(line, note):
    """And is shown all the same."""
    (part,) = json_lines(line + b"\n", False)
    assert part.note.startswith(note)
    assert part.content == line
