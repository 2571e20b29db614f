"""helpers.show.day1 and helpers.show.costs"""

import pytest

from helpers.lesson import ledger
from helpers.network.capture import Capture, Crossing, Direction, Event
from helpers.show import cost_table, day1


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_LEDGER", str(tmp_path / "ledger.json"))


def capture(*sizes: int) -> Capture:
    """One connection for each size, with so many bytes to the server."""
    made = Capture()
    for number, size in enumerate(sizes, start=1):
        to_server = number, Direction.TO_SERVER
        made.record(Crossing(number, number + 0.5, *to_server, Event.OPEN))
        made.record(Crossing(number, number + 1, *to_server, Event.DATA, b"", size))
    return made


def test_the_worst_ride_is_the_one_with_most_attempts():
    """Its last attempt is of use, all others are waste."""
    chart = day1.attempts([capture(20_000_000), capture(3_000_000, 20_000_000)])
    assert "2 attempts" in chart.title
    assert chart.facts == {
        "attempt 1": "wasted 3 MB that crossed before the line broke",
        "attempt 2": "useful 20 MB that crossed before the line broke",
    }


def test_upload_cost_stands_beside_its_model():
    """Means of what was measured, and what theory expects."""
    chart = day1.upload_cost(
        [capture(30_000_000), capture(50_000_000)], [capture(20_000_000)], 20e6, 10e6
    )
    measured, model, resumed = chart.facts.values()
    assert measured.startswith("40 MB")
    assert model.startswith("63.9 MB")
    assert resumed.startswith("20 MB")


def test_useless_is_what_told_nothing_new():
    """Of four answers, two brought a value for the first time."""
    seen = [(0.0, 1), (1.0, 1), (2.0, 2), (3.0, 2)]
    assert day1.useless_percent(seen) == 50
    table = day1.polling_table([(0.0, 1), (1.5, 2)], {1.0: seen})
    assert "50 %" in table.text() and "500 ms" in table.text()


def test_costs_are_filled_from_the_ledger():
    """The learner's own figures, labelled so."""
    ledger.note(
        keep_alive_times=1.9, dns_miss_ms=45.0, dns_hit_ms=0.5, upload_whole_MB=64.0,
        upload_resumed_MB=20.0, best_chunk_kB=256.0, poll_slow_ms=500.0,
        poll_fast_ms=25.0, poll_useless_percent=90.0,
    )  # fmt: skip
    text = cost_table("01").text()
    assert "1.9 times faster" in text
    assert "45 ms become 0.5 ms" in text
    assert "(measured here)" in text


def test_costs_that_nobody_measured_are_dashes(monkeypatch):
    """And the caption says so."""
    monkeypatch.setattr(ledger, "reference", dict)
    text = cost_table("01").text()
    assert "– times faster" in text
    assert "not measured yet" in text
