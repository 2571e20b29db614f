"""helpers.servers.matches"""

import json
from itertools import islice

from helpers.servers.feed import Feed
from helpers.servers.matches import match_events


def first(count: int, seed: int = 0) -> list[tuple[str, dict]]:
    return list(islice(match_events(seed), count))


def test_the_same_seed_gives_the_same_events():
    """And another one others."""
    assert first(200, seed=7) == first(200, seed=7)
    assert first(200, seed=7) != first(200, seed=8)


def test_scores_follow_from_the_goals():
    """A goal adds one to its team's score; nothing else changes it, but a kick-off."""
    scores: dict[str, list[int]] = {}
    for kind, facts in first(2000):
        before = scores.get(facts["match"], [0, 0])
        home, _ = facts["match"].split(" – ")
        expected = list(before)
        if kind == "goal":
            expected[0 if facts["team"] == home else 1] += 1
        elif kind == "kick-off":
            expected = [0, 0]
        assert facts["score"] == expected
        scores[facts["match"]] = expected


def test_a_match_goes_on_to_full_time_and_begins_anew():
    """Minutes only go up until 90; then comes a kick-off."""
    minutes: dict[str, int] = {}
    kinds = set()
    for kind, facts in first(2000):
        before = minutes.get(facts["match"], 0)
        assert facts["minute"] >= before or (kind, before) == ("kick-off", 90)
        minutes[facts["match"]] = facts["minute"]
        kinds.add(kind)
    assert kinds == {"goal", "card", "corner", "substitution", "full-time", "kick-off"}


def test_a_feed_takes_every_event():
    """Kinds and facts are what can be sent."""
    feed = Feed()
    for kind, facts in first(500):
        assert json.loads(feed.number(kind, facts).json)["kind"] == kind
