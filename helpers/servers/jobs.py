"""JobServer: work that takes longer than a client can wait.

    POST    /jobs       {"video": "cats", "callback": "http://127.0.0.1:…"}
                        202 Accepted, Location: /jobs/1, Retry-After
    GET     /jobs/1     {"state": "running", "progress": 0.4, "result": null, …}
    DELETE  /jobs/1     cancel it

    POST    /compress   {"video": "cats"}: the same work, and the client waits for it

202 says that the work is accepted, not that it is done, and points to where its state
can be asked for (RFC 9110, section 15.3.3).
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from helpers.servers.body import Pace, read_body
from helpers.servers.callback import check_callback
from helpers.servers.compression import compress_video
from helpers.servers.fields import require_content_type
from helpers.servers.job import (
    Job,
    JobError,
    KeyReused,
    QueueFull,
    TooLate,
    WorkError,
)
from helpers.servers.job_queue import JobQueue
from helpers.servers.job_store import JobStore
from helpers.servers.problem import Problem, ProblemServer
from helpers.servers.rest import idempotency_key
from helpers.servers.video import parse_json

__all__ = ["JobServer"]

JSON = "application/json"
MAX_NAME = 100
LOG_LINES = 1000
STATUS_OF: Mapping[type[JobError], int] = {
    QueueFull: 503,
    KeyReused: 422,
    TooLate: 409,
    WorkError: 422,
}


class JobServer(ProblemServer):
    """Compresses videos, each in about ``seconds``; ``workers`` of them at once.

    What was acknowledged by a 202 is not lost: jobs are journalled in ``folder``, and a
    server that is started on it again, also after SIGKILL, goes on with them. Without
    a folder they last as long as the server runs.

    The promise is *at least once*: work that a crash cut off begins anew (at most
    ``max_begun`` times, for it may be the work that crashes the server), and a callback
    may come twice. Its Webhook-Id tells. A cancelled job calls nobody back.

    ``log`` has a line for all that happened.
    """

    max_body = 16 * 1024
    max_jobs = 100  # that are not settled: each has a task
    max_waiting_clients = 100
    max_settled = 1000  # older ones are forgotten, and then their address is a 404
    max_begun = 3
    workers = 2
    pace = Pace()

    def __init__(
        self, seconds: float = 1.0, folder: str | Path | None = None, **server: Any
    ) -> None:
        super().__init__(**server)
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds is how long a job takes, not {seconds!r}")
        self.seconds = seconds
        self.folder = None if folder is None else Path(folder)
        self.log: list[str] = []
        self._temporary: tempfile.TemporaryDirectory | None = None
        self._store: JobStore | None = None
        self._queue: JobQueue | None = None
        self._asides: set[asyncio.Task] = set()

    @property
    def jobs(self) -> list[Job]:
        """Those that it knows, oldest first."""
        return self._store.all() if self._store else []

    async def work(
        self, video: str, report: Callable[[float], object]
    ) -> dict[str, Any]:
        """The work itself. Raises WorkError when the video is to blame."""
        return await compress_video(video, seconds=self.seconds, report=report)

    # -- life ------------------------------------------------------------------------

    async def open(self, host: str, port: int) -> int:
        self.log.clear()
        self._waiting_clients = 0
        self._store = JobStore(self._open_folder(), max_settled=self.max_settled)
        self._queue = JobQueue(
            self.work,
            self._store,
            workers=self.workers,
            max_jobs=self.max_jobs,
            max_begun=self.max_begun,
            note=self._note,
            keep_error=self.keep_error,
        )
        await self._queue.open()
        self._own_port = await super().open(host, port)
        return self._own_port

    def _open_folder(self) -> Path:
        if self.folder is not None:
            return self.folder
        self._temporary = tempfile.TemporaryDirectory(prefix="jobs-")
        return Path(self._temporary.name)

    async def close(self) -> None:
        await super().close()
        await asyncio.gather(*self._asides, return_exceptions=True)
        if self._queue is not None:
            await self._queue.close()
        if self._store is not None:
            self._store.close()
        self._queue = self._store = None
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    # -- requests --------------------------------------------------------------------

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        job = "/jobs/{id:[1-9][0-9]{0,8}}"
        return [
            web.post("/jobs", self.accept),
            web.get(job, self.get),
            web.delete(job, self.cancel),
            web.post("/compress", self.compress),
        ]

    async def accept(self, request: web.Request) -> web.Response:
        """202 once the job is safe; the same again for the same Idempotency-Key.

        A client that leaves in the middle changes nothing: the job is accepted or not.
        """
        order = await self._read_order(request)
        with self._as_problems():
            job = await self._whatever_the_client_does(self._queue.accept(order))
        return self._answer(job, status=202)

    async def get(self, request: web.Request) -> web.Response:
        return self._answer(self._find(request))

    async def cancel(self, request: web.Request) -> web.Response:
        """The job stays, as one that was cancelled; to repeat it changes nothing."""
        job = self._find(request)
        with self._as_problems():
            await self._whatever_the_client_does(self._queue.cancel(job))
        return self._answer(job)

    async def compress(self, request: web.Request) -> web.Response:
        """The client waits. When it leaves, aiohttp cancels this coroutine."""
        order = await self._read_order(request)
        if order.callback is not None:
            raise Problem(422, "You wait for the answer here: no callback. Try /jobs.")
        with self._as_problems():
            return web.json_response(await self._compress(order.video))

    async def _compress(self, video: str) -> dict[str, Any]:
        if self._waiting_clients >= self.max_waiting_clients:
            raise QueueFull(f"{self._waiting_clients} clients wait. Try again later.")
        self._waiting_clients += 1
        self._note("/compress", f"{video}: its client waits")
        try:
            async with self._queue.free_workers:
                result = await self.work(video, lambda progress: None)
        except asyncio.CancelledError:
            self._note("/compress", f"{video}: cancelled, its client left; work lost")
            raise
        finally:
            self._waiting_clients -= 1
        self._note("/compress", f"{video}: done")
        return result

    # -- what several need -----------------------------------------------------------

    async def _read_order(self, request: web.Request) -> Job:
        """A job, not accepted yet. Raises Problem for what is none."""
        require_content_type(request, JSON)
        members = parse_json(
            await read_body(request, limit=self.max_body, pace=self.pace)
        )
        if not isinstance(members, dict) or not members.keys() <= {"video", "callback"}:
            raise Problem(422, 'Send {"video": NAME}, maybe with a "callback".')
        video, callback = members.get("video"), members.get("callback")
        if not is_name(video):
            raise Problem(
                422, f"video is a text of 1 to {MAX_NAME} printable characters."
            )
        if callback is not None:
            check_callback(callback, own_port=self._own_port)
        return Job(video, callback, idempotency_key(request))

    def _find(self, request: web.Request) -> Job:
        number = int(request.match_info["id"])
        if job := self._store.find(number):
            return job
        raise Problem(
            404, f"There is no job {number}, or it was finished long ago and forgotten."
        )

    def _answer(self, job: Job, status: int = 200) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        if status == 202:
            headers["Location"] = f"/jobs/{job.id}"
        if not job.finished:
            headers["Retry-After"] = self._seconds_left(job.progress)
        return web.json_response(job.members(), status=status, headers=headers)

    def _seconds_left(self, progress: float = 0.0) -> str:
        """Retry-After is in whole seconds (RFC 9110, section 10.2.3)."""
        return str(max(1, math.ceil(self.seconds * (1 - progress))))

    @contextmanager
    def _as_problems(self) -> Iterator[None]:
        try:
            yield
        except JobError as error:
            status = STATUS_OF[type(error)]
            later = {"Retry-After": self._seconds_left()} if status == 503 else {}
            raise Problem(status, str(error), headers=later) from None

    async def _whatever_the_client_does(self, coroutine: Coroutine) -> Any:
        """Go on with it to its end, also when the client leaves meanwhile."""
        task = asyncio.create_task(coroutine)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(task)

    def _note(self, path: str, happened: str) -> None:
        self.log.append(f"{path} {happened}")
        del self.log[:-LOG_LINES]


def is_name(value: object) -> bool:
    return (
        isinstance(value, str) and 1 <= len(value) <= MAX_NAME and value.isprintable()
    )
