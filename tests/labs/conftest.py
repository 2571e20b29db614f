"""No lab under test touches the learner's ledger."""

from collections.abc import Iterator

import pytest

from helpers.lesson.check_trial import kept_processes


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_LEDGER", str(tmp_path / "ledger.json"))


@pytest.fixture(scope="package", autouse=True)
def few_processes() -> Iterator[None]:
    """Hundreds of checks share theirs: otherwise most of the time is their start."""
    with kept_processes():
        yield
