"""helpers.servers.feed"""

import json
import time

import pytest

from helpers.servers.feed import MAX_EVENT, Feed, notice


def filled(count: int, *, history: int = 1000) -> Feed:
    feed = Feed(history)
    for minute in range(count):
        feed.append(feed.number("goal", {"minute": minute}))
    return feed


def ids(page) -> list[int]:
    return [event.id for event in page.events]


def test_numbers_go_up_by_one_from_one():
    """And each event knows when it was born."""
    before = time.perf_counter()
    events = filled(3).events
    assert [event.id for event in events] == [1, 2, 3]
    assert before <= events[0].born <= events[2].born <= time.perf_counter()


def test_all_forms_carry_the_same_json():
    """A line of JSON, and the same in the data of a block."""
    event = filled(1).events[0]
    assert json.loads(event.json) == {
        "id": 1,
        "kind": "goal",
        "minute": 0,
        "born": event.born,
    }
    assert event.line == event.json + b"\n"
    assert event.sse == b"id: 1\nevent: goal\ndata: " + event.line + b"\n"


def test_a_notice_has_no_id():
    """So it does not change what its client sends as Last-Event-ID."""
    told = notice("missed", missed=4)
    assert json.loads(told.json) == {"kind": "missed", "missed": 4}
    assert b"id:" not in told.sse


@pytest.mark.parametrize("last", range(8))
def test_since_gives_what_came_after(last):
    """All that is newer than the number, in order, and nothing missed."""
    page = filled(7).since(last, limit=100)
    assert ids(page) == list(range(last + 1, 8))
    assert page.missed == 0
    assert page.last == 7


def test_since_gives_no_more_than_the_limit():
    """The page says how far it goes, and the next one goes on there."""
    feed = filled(7)
    page = feed.since(1, limit=4)
    assert (ids(page), page.last) == ([2, 3, 4, 5], 5)
    assert ids(feed.since(page.last, limit=4)) == [6, 7]


@pytest.mark.parametrize(
    ("last", "missed"), [(0, 6), (3, 3), (5, 1), (6, 0), (9, 0), (10, 0)]
)
def test_a_bounded_history_says_what_it_lost(last, missed):
    """Of ten events four are kept: whoever is further behind is told by how many."""
    page = filled(10, history=4).since(last, limit=100)
    assert page.missed == missed
    assert ids(page) == list(range(max(last, 6) + 1, 11))


def test_a_number_that_was_never_given_out():
    """The client knows another feed: it gets all there is, and nobody can tell more."""
    page = filled(3).since(50, limit=100)
    assert (ids(page), page.missed, page.last) == ([1, 2, 3], None, 3)
    assert Feed().since(50, limit=100) == ([], None, 0)


def test_an_empty_feed():
    """Nothing happened yet, and nothing is missed."""
    assert Feed().since(0, limit=100) == ([], 0, 0)


@pytest.mark.parametrize(
    "kind", ["", "Goal", "two words", "a\nb", "message", "error", "open", "dropped"]
)
def test_a_kind_that_is_none_is_refused(kind):
    """Also those that an EventSource, or the server, uses for itself."""
    with pytest.raises(ValueError, match="a kind has"):
        Feed().number(kind, {})


def test_what_can_not_be_sent_takes_no_number():
    """Too large, no JSON, or a name that is taken: refused, and the next is still 1."""
    feed = Feed()
    with pytest.raises(ValueError, match="at most 4096 bytes"):
        feed.number("goal", {"text": "x" * MAX_EVENT})
    with pytest.raises(TypeError):
        feed.number("goal", {"team": object()})
    with pytest.raises(ValueError, match="born"):
        feed.number("goal", {"born": 0})
    assert feed.number("goal", {}).id == 1


def test_a_feed_that_keeps_nothing_is_refused():
    """At least the newest event."""
    with pytest.raises(ValueError, match="at least one event"):
        Feed(0)
