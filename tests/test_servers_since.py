"""helpers.servers.since; where requests say it, see test_servers_scores"""

import pytest

from helpers.servers.since import event_id


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("57", 57), ("007", 7)])
def test_event_id_reads_a_number(text, number):
    """Digits, and nothing else."""
    assert event_id("since", text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "x", "1" * 16, "١"])
def test_event_id_refuses_what_is_no_number(text):
    """The error says where it stood."""
    with pytest.raises(ValueError, match="since is the number"):
        event_id("since", text)
