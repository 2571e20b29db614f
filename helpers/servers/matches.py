"""Four football matches that never end: goals, cards and corners, by chance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["match_events"]

PAIRINGS = (
    ("Harbour", "Hillside"),
    ("Old Mill", "Riverbank"),
    ("Lighthouse", "Quarry"),
    ("Meadow", "Station"),
)
# How often, by weight. Goals more often than in life: they are what one waits for.
KINDS = {"goal": 3, "card": 3, "corner": 4, "substitution": 2}
FULL_TIME = 90


@dataclass
class Match:
    home: str
    away: str
    minute: int = 0
    home_goals: int = 0
    away_goals: int = 0

    def play_on(self, chances: random.Random) -> str:
        """Something happens; returns its kind."""
        if self.minute >= FULL_TIME:
            self.minute = self.home_goals = self.away_goals = 0
            return "kick-off"
        self.minute = min(self.minute + chances.randint(1, 12), FULL_TIME)
        if self.minute == FULL_TIME:
            return "full-time"
        kind = chances.choices(list(KINDS), weights=KINDS.values())[0]
        self.team = chances.choice((self.home, self.away))
        if kind == "goal" and self.team == self.home:
            self.home_goals += 1
        elif kind == "goal":
            self.away_goals += 1
        return kind

    def facts(self, kind: str) -> dict[str, object]:
        facts: dict[str, object] = {
            "match": f"{self.home} – {self.away}",
            "minute": self.minute,
            "score": [self.home_goals, self.away_goals],
        }
        return facts | ({"team": self.team} if kind in KINDS else {})


def match_events(seed: int = 0) -> Iterator[tuple[str, dict[str, object]]]:
    """Kind and facts, one event after another, without end.

    The same seed gives the same events.
    """
    chances = random.Random(seed)
    matches = [Match(*pairing) for pairing in PAIRINGS]
    while True:
        match = chances.choice(matches)
        kind = match.play_on(chances)
        yield kind, match.facts(kind)
