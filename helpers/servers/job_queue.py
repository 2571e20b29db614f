"""JobQueue: accepts jobs, works on a few at once, and calls back; HTTP is elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from helpers.servers.callback import CallbackSender
from helpers.servers.job import (
    Delivery,
    Job,
    KeyReused,
    QueueFull,
    State,
    TooLate,
    WorkError,
)
from helpers.servers.job_store import JobStore

__all__ = ["JobQueue"]

Report = Callable[[float], None]
Work = Callable[[str, Report], Awaitable[dict[str, Any]]]


class JobQueue:
    """Runs ``work(video, report)`` for each job of ``store``, ``workers`` at once.

    Each job that is not settled has a task, and there are at most ``max_jobs``. Jobs
    begin in the order in which they were accepted. ``max_begun`` is how often a job
    whose server crashed is begun: it may be the one that crashes it.

    ``note(name, what)`` hears of all that happens, ``keep_error`` of what should not.
    """

    def __init__(
        self,
        work: Work,
        store: JobStore,
        *,
        workers: int,
        max_jobs: int,
        max_begun: int,
        note: Callable[[str, str], None],
        keep_error: Callable[[BaseException], None],
    ) -> None:
        self.free_workers = asyncio.Semaphore(workers)  # FIFO
        self._work = work
        self._store = store
        self._max_jobs = max_jobs
        self._max_begun = max_begun
        self._note = note
        self._keep_error = keep_error
        self._callbacks = CallbackSender()
        self._tasks: dict[int, asyncio.Task] = {}
        self._accepting = asyncio.Lock()

    async def open(self) -> None:
        """Go on with what an earlier server left."""
        await self._store.open()
        for job in self._store.all():
            if job.state is State.RUNNING:  # that server crashed
                job.put_back()
                if job.begun >= self._max_begun:
                    job.error = f"The server crashed {job.begun} times during it."
                    await self._finish(job, State.FAILED)
            if not job.settled:
                self._note(job.path, "taken up again")
                self._start(job)

    async def close(self) -> None:
        """Cut off what runs and put it back, for the server that comes next."""
        cut_off = self._tasks.copy()
        for task in cut_off.values():
            task.cancel()
        await asyncio.gather(*cut_off.values(), return_exceptions=True)
        for job in filter(None, map(self._store.find, cut_off)):
            if job.state is State.RUNNING:
                job.put_back()
                job.begun -= 1  # it crashed nothing
            await self._store.save(job)  # a write may have been cut off as well

    async def accept(self, order: Job) -> Job:
        """The job, safe from now on; an older one when that had the same key.

        Raises QueueFull or KeyReused.
        """
        async with self._accepting:  # two requests with one key come to one job
            if known := self._store.find_by_key(order.key):
                if (known.video, known.callback) != (order.video, order.callback):
                    raise KeyReused(
                        "This Idempotency-Key came with another body. Use a new one."
                    )
                return known
            if len(self._tasks) >= self._max_jobs:
                raise QueueFull(
                    f"{self._max_jobs} jobs are under way. Try again later."
                )
            await self._store.add(order)
            self._note(order.path, "accepted")
            self._start(order)
            return order

    async def cancel(self, job: Job) -> None:
        """Raises TooLate when it is done or failed. Repeated, it changes nothing."""
        if job.state in (State.DONE, State.FAILED):
            raise TooLate(f"Job {job.id} is {job.state}: too late to cancel it.")
        if job.state is not State.CANCELLED:
            job.move(State.CANCELLED)
            self._tasks[job.id].cancel()
            self._note(job.path, "cancelled")
        await self._store.save(job)

    # -- the life of a job -----------------------------------------------------------

    def _start(self, job: Job) -> None:
        task = asyncio.create_task(self._run(job), name=job.path)
        self._tasks[job.id] = task
        task.add_done_callback(lambda task: self._ended(job, task))

    def _ended(self, job: Job, task: asyncio.Task) -> None:
        del self._tasks[job.id]
        if task.cancelled() or task.exception() is None:
            return
        # The journal failed: the disk is full, say. The next server goes on with it.
        self._keep_error(task.exception())
        if not job.finished:
            job.error = "The server can not write to its journal."
            job.move(State.FAILED)

    async def _run(self, job: Job) -> None:
        if not job.finished:
            async with self.free_workers:
                await self._work_on(job)
        if job.delivery is Delivery.PENDING:
            await self._call_back(job)

    async def _work_on(self, job: Job) -> None:
        def report(progress: float) -> None:
            job.progress = progress

        job.move(State.RUNNING)
        job.begun += 1
        await self._store.save(job)
        self._note(job.path, "running")
        try:
            job.result = await self._work(job.video, report)
        except Exception as error:
            job.error = self._reason(error)
            await self._finish(job, State.FAILED)
        else:
            await self._finish(job, State.DONE)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, WorkError):
            return str(error)
        self._keep_error(error)
        return f"The server failed with {type(error).__name__}; not your fault."

    async def _finish(self, job: Job, state: State) -> None:
        job.move(state)
        if job.callback is not None:
            job.delivery = Delivery.PENDING
        await self._store.save(job)
        self._note(job.path, state)

    async def _call_back(self, job: Job) -> None:
        delivered = await self._callbacks.deliver(
            job.callback, f"job-{job.id}", job.outcome()
        )
        job.delivery = Delivery.DELIVERED if delivered else Delivery.GIVEN_UP
        await self._store.save(job)
        self._note(job.path, f"callback {job.delivery}")
