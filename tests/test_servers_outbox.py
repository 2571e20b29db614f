"""helpers.servers.outbox"""

import pytest

from helpers.servers.outbox import Outbox, OutboxFull, WhenFull


def fill(when_full: WhenFull) -> Outbox:
    outbox = Outbox(limit=2, when_full=when_full)
    outbox.put("a")
    outbox.put("b")
    assert outbox.full
    return outbox


def test_messages_leave_in_the_order_in_which_they_came():
    """First in, first out; and then there is nothing."""
    outbox = fill(WhenFull.WAIT)
    assert [outbox.take(), outbox.take()] == ["a", "b"]
    with pytest.raises(IndexError):
        outbox.take()


def test_drop_loses_the_oldest_and_counts_it():
    """What is left is the newest, and never more than the limit."""
    outbox = fill(WhenFull.DROP)
    outbox.put("c")
    assert [outbox.take(), outbox.take()] == ["b", "c"]
    assert outbox.dropped == 1


@pytest.mark.parametrize("when_full", [WhenFull.DISCONNECT, WhenFull.WAIT])
def test_the_others_refuse_one_more(when_full):
    """The error says how many wait; nothing is lost and nothing is added."""
    outbox = fill(when_full)
    with pytest.raises(OutboxFull, match="2 messages wait"):
        outbox.put("c")
    assert len(outbox) == 2
    assert outbox.dropped == 0


def test_there_is_no_fourth_way():
    """A misspelt policy is an error that names it."""
    with pytest.raises(ValueError, match="'ignore'"):
        WhenFull("ignore")
