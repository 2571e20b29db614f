"""JobStore: jobs in memory, and a journal of them that outlives the process.

The journal is an SQLite file. Each write is a transaction that has reached the disk
before it is awaited to its end; it runs on a thread of its own, so that the loop goes
on while the disk is busy. Writes happen in the order in which they were asked for.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from helpers.servers.job import Job

__all__ = ["JobStore"]

FILE = "jobs.sqlite3"
SCHEMA = """
    PRAGMA locking_mode = EXCLUSIVE;  -- one server a folder; a dead one holds nothing
    PRAGMA journal_mode = WAL;        -- a commit is one write and one fsync
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- so that no id is given twice
        job TEXT NOT NULL
    );
"""


class JobStore:
    """All jobs of a server, at most ``max_settled`` of them with nothing left to do."""

    def __init__(self, folder: Path, *, max_settled: int) -> None:
        self._path = folder / FILE
        self._max_settled = max_settled
        self._jobs: dict[int, Job] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="job journal")
        self._journal: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Load what an earlier server left in the folder.

        Raises RuntimeError when another server uses it, or its file is no journal.
        """
        try:
            rows = await self._on_thread(self._open)
            jobs = [Job.from_json(number, text) for number, text in rows]
        except sqlite3.OperationalError as error:
            raise RuntimeError(
                f"can not use {self._path} ({error}): if another server does, stop "
                "that one, or take another folder"
            ) from None
        except (sqlite3.DatabaseError, TypeError, ValueError) as error:
            raise RuntimeError(
                f"{self._path} is no journal of jobs ({error}): move it away"
            ) from None
        self._jobs = {job.id: job for job in jobs}

    def close(self) -> None:
        """Finish the writes under way. Idempotent."""
        journal, self._journal = self._journal, None
        if journal is not None:
            self._thread.submit(journal.close)
        self._thread.shutdown()

    def all(self) -> list[Job]:
        """A list of its own, oldest first, for other threads look at it too."""
        return list(self._jobs.values())

    def find(self, number: int) -> Job | None:
        return self._jobs.get(number)

    def find_by_key(self, key: str | None) -> Job | None:
        """The job that came with this Idempotency-Key."""
        if key is None:
            return None
        return next((job for job in self.all() if job.key == key), None)

    async def add(self, job: Job) -> None:
        """Give it an id. Once this returns, the job is safe."""
        insert = "INSERT INTO jobs (job) VALUES (?)"
        job.id = await self._on_thread(self._write, insert, job.to_json())
        self._jobs[job.id] = job

    async def save(self, job: Job) -> None:
        """Write down what the job is now, whatever it becomes meanwhile."""
        update = "UPDATE jobs SET job = ? WHERE id = ?"
        await self._on_thread(self._write, update, job.to_json(), job.id)
        await self._forget_oldest()

    async def _forget_oldest(self) -> None:
        settled = [job.id for job in self.all() if job.settled]
        oldest = settled[: -self._max_settled]
        for number in oldest:  # all before the first await: others do this as well
            del self._jobs[number]
        for number in oldest:
            delete = "DELETE FROM jobs WHERE id = ?"
            await self._on_thread(self._write, delete, number)

    # -- the thread of the journal ---------------------------------------------------

    async def _on_thread(self, action: Callable[..., Any], *args: object) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, action, *args)

    def _open(self) -> list[tuple[int, str]]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._journal = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        self._journal.executescript(SCHEMA)
        return self._journal.execute("SELECT id, job FROM jobs ORDER BY id").fetchall()

    def _write(self, statement: str, *values: object) -> int | None:
        """In a transaction of its own; the id that it inserted."""
        return self._journal.execute(statement, values).lastrowid
