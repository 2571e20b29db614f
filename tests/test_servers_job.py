"""helpers.servers.job: states, and what is written down of a job."""

import itertools

import pytest

from helpers.servers.job import Delivery, Job, State

LEGAL = {
    ("waiting", "running"),
    ("waiting", "cancelled"),
    ("waiting", "failed"),
    ("running", "waiting"),
    ("running", "done"),
    ("running", "failed"),
    ("running", "cancelled"),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(State, State)))
def test_only_some_moves_are_legal(old, new):
    """An illegal one names the job and both states, and leaves it as it was."""
    job = Job("cats", id=7, state=old)
    if (old, new) in LEGAL:
        job.move(new)
        assert job.state is new
    else:
        with pytest.raises(ValueError, match=f"job 7 can not go from {old} to {new}"):
            job.move(new)
        assert job.state is old


def test_finished_and_settled():
    """A finished job is settled once its callback is off the list."""
    assert [state for state in State if Job("cats", state=state).finished] == [
        "done",
        "failed",
        "cancelled",
    ]
    done = Job("cats", state=State.DONE)
    assert done.settled
    done.delivery = Delivery.PENDING
    assert not done.settled
    done.delivery = Delivery.GIVEN_UP
    assert done.settled
    assert not Job("cats").settled


@pytest.mark.parametrize(
    "job",
    [
        Job("cats", id=3),
        Job(
            "cäts",
            callback="http://127.0.0.1:9/",
            key="k",
            id=3,
            state=State.DONE,
            progress=1.0,
            result={"bytes": 7},
            error="none",
            begun=2,
            delivery=Delivery.GIVEN_UP,
        ),
    ],
    ids=["new", "old"],
)
def test_the_journal_brings_back_the_same_job(job):
    """All of it, its states as states."""
    again = Job.from_json(3, job.to_json())
    assert again == job
    assert isinstance(again.state, State)


@pytest.mark.parametrize(
    "text", ["", "[]", "7", '{"video": "a", "x": 1}', '{"video": "a", "state": "x"}']
)
def test_another_text_is_refused(text):
    """What to_json() did not write is no job."""
    with pytest.raises((TypeError, ValueError)):
        Job.from_json(1, text)


def test_a_client_sees_no_key():
    """Its Idempotency-Key is its client's own; a callback shows when there is one."""
    job = Job("cats", key="secret", id=1)
    assert "secret" not in str(job.members())
    assert "callback" not in job.members()
    job.callback = "http://127.0.0.1:9/"
    assert job.members().keys() - job.outcome().keys() == {"callback", "callback_state"}
