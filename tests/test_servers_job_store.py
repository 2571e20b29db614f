"""helpers.servers.job_store: what was written is there again, and old jobs go."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager

import pytest

from helpers.servers.job import Job, State
from helpers.servers.job_store import JobStore


@asynccontextmanager
async def opened(folder, max_settled=100):
    store = JobStore(folder, max_settled=max_settled)
    try:
        await store.open()
        yield store
    finally:
        store.close()


def test_what_was_saved_is_there_again(tmp_path):
    """In the order of the ids, with the last state that was saved."""

    async def main():
        async with opened(tmp_path / "new folder") as store:
            for name in ("cats", "dogs"):
                await store.add(Job(name))
            store.find(1).move(State.CANCELLED)
            await store.save(store.find(1))
            store.find(2).progress = 0.5  # not saved
        async with opened(tmp_path / "new folder") as store:
            assert [(j.id, j.video, j.state, j.progress) for j in store.all()] == [
                (1, "cats", "cancelled", 0.0),
                (2, "dogs", "waiting", 0.0),
            ]

    asyncio.run(main())


def test_a_key_finds_its_job(tmp_path):
    """None is no key."""

    async def main():
        async with opened(tmp_path) as store:
            await store.add(Job("cats"))
            await store.add(Job("dogs", key="k"))
            assert store.find_by_key("k").video == "dogs"
            assert store.find_by_key("other") is None
            assert store.find_by_key(None) is None

    asyncio.run(main())


def test_many_at_once_may_make_it_forget(tmp_path):
    """Each write may push out older jobs, while others do the same."""

    async def finish(store, job):
        job.move(State.CANCELLED)
        await store.save(job)

    async def main():
        async with opened(tmp_path, max_settled=1) as store:
            jobs = [Job(f"video {number}") for number in range(20)]
            for job in jobs:
                await store.add(job)
            await asyncio.gather(*(finish(store, job) for job in jobs))
            (left,) = store.all()
        async with opened(tmp_path) as store:
            assert store.all() == [left]
            assert left.id == 20
            await store.add(job := Job("new"))
            assert job.id == 21  # an id is not given twice

    asyncio.run(main())


def test_a_job_that_can_not_be_read_is_named(tmp_path):
    """The journal is a database, but not of ours."""

    async def main():
        async with opened(tmp_path) as store:
            await store.add(Job("cats"))
        journal = sqlite3.connect(tmp_path / "jobs.sqlite3")
        with journal:
            journal.execute("UPDATE jobs SET job = '[]'")
        journal.close()
        with pytest.raises(RuntimeError, match="is no journal of jobs"):
            async with opened(tmp_path):
                pass

    asyncio.run(main())


def test_close_is_idempotent(tmp_path):
    """Also before open()."""
    store = JobStore(tmp_path, max_settled=1)
    store.close()
    store.close()
