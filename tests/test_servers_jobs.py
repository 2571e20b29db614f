"""JobServer: 202 and what becomes of it; clients that wait, leave, are called back."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from helpers.server import HTTPServer
from helpers.servers.jobs import JobServer

CATS = {"video": "cats"}
LONG = 3600.0  # seconds: a job that is not done before its test is


@pytest.fixture
def quick() -> Iterator[JobServer]:
    """Jobs are done at once."""
    with JobServer(seconds=0) as server:
        yield server
        assert not server.errors


@pytest.fixture
def slow() -> Iterator[JobServer]:
    """Jobs last longer than the test."""
    with JobServer(seconds=LONG) as server:
        yield server
        assert not server.errors


def post(server, members: dict = CATS, path: str = "/jobs", **kw) -> httpx.Response:
    return httpx.post(server.make_url(path), json=members, **kw)


def get(server, number: int = 1) -> dict:
    return httpx.get(server.make_url(f"/jobs/{number}")).json()


def is_problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()["detail"]


class Receiver(HTTPServer):
    """Is called back; ``statuses`` are its answers, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self.statuses = list(statuses) or [204]
        self.calls: list[tuple[str, dict]] = []
        self.redirected = False

    def routes(self):
        return [web.post("/done", self.done), web.route("*", "/other", self.other)]

    async def done(self, request):
        self.calls.append((request.headers["Webhook-Id"], await request.json()))
        statuses = self.statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        return web.Response(status=status, headers={"Location": "/other"})

    async def other(self, _):
        self.redirected = True
        return web.Response()


# -- accepted, asked for, done -------------------------------------------------------


def test_202_says_where_to_ask(slow):
    """Accepted: the address of the job, its state, and when to ask."""
    answer = post(slow)
    assert answer.status_code == 202
    assert answer.headers["Location"] == "/jobs/1"
    assert int(answer.headers["Retry-After"]) == LONG
    assert answer.json() == {
        "id": 1,
        "video": "cats",
        "state": "running",  # two workers are free
        "progress": 0.0,
        "result": None,
    }


def test_a_job_goes_from_waiting_to_done(quick, wait_until):
    """Polling ends in the result, and then there is nothing more to wait for."""
    location = post(quick).headers["Location"]
    wait_until(lambda: quick.jobs[0].finished)
    answer = httpx.get(quick.make_url(location))
    job = answer.json()
    assert (job["state"], job["progress"]) == ("done", 1.0)
    assert 0 < job["result"]["compressed_bytes"] < job["result"]["original_bytes"]
    assert "Retry-After" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert quick.log == [
        "/jobs/1 accepted",
        "/jobs/1 running",
        "/jobs/1 done",
    ]


def test_progress_is_told(wait_until):
    """While the job runs, as the work reports it."""
    go_on = threading.Event()

    class HalfWay(JobServer):
        async def work(self, video, report):
            report(0.5)
            await asyncio.to_thread(go_on.wait, 30)
            report(1.0)
            return {}

    with HalfWay() as server:
        post(server)
        wait_until(lambda: get(server)["progress"] == 0.5)
        assert get(server)["state"] == "running"
        go_on.set()
        wait_until(lambda: get(server)["state"] == "done")
        assert get(server)["progress"] == 1.0


def test_workers_are_few_and_take_turns(slow, wait_until):
    """Two run, the third waits for a worker; first come, first served."""
    for _ in range(4):
        post(slow)
    wait_until(lambda: [j.state for j in slow.jobs][:2] == ["running"] * 2)
    assert [get(slow, n)["state"] for n in (3, 4)] == ["waiting"] * 2
    httpx.delete(slow.make_url("/jobs/1"))
    wait_until(lambda: get(slow, 3)["state"] == "running")
    assert get(slow, 4)["state"] == "waiting"


def test_work_that_can_not_be_done_fails(quick, wait_until):
    """The job says why; it is not the server's error."""
    post(quick, {"video": "broken"})
    wait_until(lambda: quick.jobs[0].finished)
    job = get(quick)
    assert (job["state"], job["result"]) == ("failed", None)
    assert "can not be read" in job["error"]
    assert "can not be read" in is_problem(
        post(quick, {"video": "broken"}, "/compress"), 422
    )


def test_work_with_a_bug_fails_and_the_server_goes_on(wait_until, capsys):
    """The error is kept for who runs the server, and the client learns its kind."""

    class Buggy(JobServer):
        async def work(self, video, report):
            raise KeyError(video)

    with Buggy() as server:
        post(server)
        wait_until(lambda: server.jobs[0].finished)
        assert get(server)["error"].startswith("The server failed with KeyError")
        assert isinstance(server.errors[-1], KeyError)
        assert post(server).status_code == 202
    assert "KeyError" in capsys.readouterr().err


# -- cancelled -----------------------------------------------------------------------


def test_delete_cancels(slow, wait_until):
    """One that runs and one that waits; and it may be repeated."""
    for _ in range(3):
        post(slow)
    wait_until(lambda: slow.jobs[0].state == "running")
    for number in (1, 3):
        for _ in range(2):
            answer = httpx.delete(slow.make_url(f"/jobs/{number}"))
            assert answer.status_code == 200
            assert answer.json()["state"] == get(slow, number)["state"] == "cancelled"
    assert slow.log.count("/jobs/1 cancelled") == 1


def test_a_job_that_is_done_can_not_be_cancelled(quick, wait_until):
    """409, and the job stays done."""
    post(quick)
    wait_until(lambda: quick.jobs[0].finished)
    answer = httpx.delete(quick.make_url("/jobs/1"))
    assert is_problem(answer, 409) == "Job 1 is done: too late to cancel it."
    assert get(quick)["state"] == "done"


# -- the client leaves ---------------------------------------------------------------


def leave(server, path: str, when: Callable[[], None], **headers: str) -> None:
    """Send a request, and go before its answer comes: as soon as ``when()`` returns."""
    headers["Content-Type"] = "application/json"
    client = http.client.HTTPConnection(server.host, server.port, timeout=30)
    client.request("POST", path, json.dumps(CATS), headers)
    when()
    client.close()


def test_a_client_that_waits_gets_the_result(quick):
    """The same work, in the answer itself."""
    answer = post(quick, path="/compress")
    assert answer.status_code == 200
    assert answer.json().keys() == {"original_bytes", "compressed_bytes"}
    assert quick.log == ["/compress cats: its client waits", "/compress cats: done"]


def test_a_client_that_waits_and_leaves_loses_the_work(slow, wait_until):
    """Its handler is cancelled, and its worker is free again."""
    clients = slow.workers + 1  # one of them waits for a worker
    with ThreadPoolExecutor(clients) as threads:
        waits = "/compress cats: its client waits"
        for _ in range(clients):
            threads.submit(
                leave,
                slow,
                "/compress",
                lambda: wait_until(lambda: slow.log.count(waits) == clients),
            )
    lost = "/compress cats: cancelled, its client left; work lost"
    wait_until(lambda: slow.log.count(lost) == clients)
    post(slow)
    wait_until(lambda: slow.jobs[0].state == "running")


def test_a_job_goes_on_when_its_client_leaves(wait_until):
    """Also when it left before the 202 came: with its key it finds the job again."""
    writing, go_on = threading.Event(), threading.Event()

    class SlowDisk(JobServer):
        async def open(self, host, port):
            port = await super().open(host, port)
            add = self._store.add

            async def add_slowly(job):
                writing.set()
                await asyncio.to_thread(go_on.wait, 30)
                await add(job)

            self._store.add = add_slowly
            return port

    key = {"Idempotency-Key": "cats again"}
    with SlowDisk(seconds=0) as server:
        leave(server, "/jobs", lambda: writing.wait(30), **key)
        go_on.set()
        again = post(server, headers=key)
        assert again.headers["Location"] == "/jobs/1"
        wait_until(lambda: server.jobs[0].finished)
        assert len(server.jobs) == 1


# -- restarts ------------------------------------------------------------------------


def test_a_restarted_server_goes_on(tmp_path, wait_until):
    """What was done stays done, what was not is done now; no id is given twice."""
    with JobServer(seconds=0, folder=tmp_path) as server:
        post(server)
        wait_until(lambda: server.jobs[0].finished)
        result = get(server)["result"]
    with JobServer(seconds=LONG, folder=tmp_path) as server:
        for _ in range(3):
            post(server)
        httpx.delete(server.make_url("/jobs/2"))
        wait_until(lambda: server.jobs[2].state == "running")
    with JobServer(seconds=0, folder=tmp_path) as server:
        assert get(server, 1)["result"] == result
        wait_until(lambda: all(job.finished for job in server.jobs))
        states = [get(server, number)["state"] for number in (1, 2, 3, 4)]
        assert states == ["done", "cancelled", "done", "done"]
        assert post(server).headers["Location"] == "/jobs/5"


def test_what_was_acknowledged_survives_sigkill(tmp_path, wait_until):
    """The process dies without a word, and the next one does its jobs."""
    with JobServer.in_process(seconds=LONG, folder=tmp_path) as server:
        for _ in range(5):
            assert post(server).status_code == 202
        wait_until(lambda: get(server)["state"] == "running")
        server.kill()
    with JobServer(seconds=0, folder=tmp_path) as server:
        wait_until(lambda: [job.state for job in server.jobs] == ["done"] * 5)


def test_a_job_that_crashes_its_server_is_given_up(tmp_path, wait_until):
    """Begun three times and never finished: it fails, and the others go on."""
    server = JobServer.in_process(seconds=LONG, folder=tmp_path)
    for attempt in range(JobServer.max_begun):
        with server:
            if attempt == 0:
                post(server)
            wait_until(lambda: get(server)["state"] == "running")
            server.kill()
    with JobServer(seconds=0, folder=tmp_path) as server:
        assert get(server)["error"] == "The server crashed 3 times during it."


def test_a_stop_in_good_order_is_no_crash(tmp_path, wait_until):
    """However often the server is restarted, the job is not to blame."""
    for _ in range(JobServer.max_begun + 1):
        with JobServer(seconds=LONG, folder=tmp_path) as server:
            if not server.jobs:
                post(server)
            wait_until(lambda: server.jobs[0].state == "running")
    with JobServer(seconds=0, folder=tmp_path) as server:
        wait_until(lambda: server.jobs[0].state == "done")


def test_without_a_folder_jobs_last_as_long_as_the_server(quick):
    """And nothing of them stays on the disk."""
    post(quick)
    folder = Path(quick._temporary.name)
    quick.stop()
    quick.start()
    assert quick.jobs == []
    assert not folder.exists()


def test_one_server_a_folder(tmp_path):
    """A second one would do the work twice: it says so, and the first goes on."""
    with JobServer(folder=tmp_path) as server:
        for second in (JobServer, JobServer.in_process):
            with pytest.raises(RuntimeError, match="if another server does, stop"):
                second(folder=tmp_path).start()
        assert post(server).status_code == 202


def test_a_journal_that_is_none_is_not_touched(tmp_path):
    """Starting fails, and says which file to move away."""
    file = tmp_path / "jobs.sqlite3"
    file.write_bytes(b"no database " * 100)
    with pytest.raises(RuntimeError, match="is no journal of jobs"):
        JobServer(folder=tmp_path).start()
    assert file.read_bytes() == b"no database " * 100


# -- callbacks -----------------------------------------------------------------------


def order(receiver: Receiver) -> dict:
    return CATS | {"callback": receiver.make_url("/done")}


def test_a_callback_brings_the_finished_job(quick, wait_until):
    """Its client need not ask. It has an id, and the job says that it was delivered."""
    with Receiver() as receiver:
        post(quick, order(receiver))
        wait_until(lambda: get(quick).get("callback_state") == "delivered")
    ((name, job),) = receiver.calls
    assert name == "job-1"
    assert job == {k: v for k, v in get(quick).items() if not k.startswith("callback")}
    assert job["state"] == "done"


def test_a_failed_job_calls_back_too(quick, wait_until):
    """Its client waits for news, not for success."""
    with Receiver() as receiver:
        post(quick, order(receiver) | {"video": "broken"})
        wait_until(lambda: receiver.calls)
    assert receiver.calls[0][1]["state"] == "failed"


def test_a_cancelled_job_calls_nobody_back(slow):
    """Who cancelled it knows."""
    with Receiver() as receiver:
        post(slow, order(receiver))
        job = httpx.delete(slow.make_url("/jobs/1")).json()
        assert job["callback_state"] is None
        assert receiver.calls == []


def test_a_callback_is_tried_again(quick, wait_until):
    """After an error of the receiver, with the same id."""
    with Receiver(500, 503, 200) as receiver:
        post(quick, order(receiver))
        wait_until(lambda: get(quick)["callback_state"] == "delivered", patience=20)
    assert [name for name, _ in receiver.calls] == ["job-1"] * 3


def test_a_callback_is_given_up(quick, wait_until):
    """After five tries; the result can still be asked for."""
    quick._queue._callbacks.pause = 0.001
    with Receiver(500) as receiver:
        post(quick, order(receiver))
        wait_until(lambda: get(quick)["callback_state"] == "given up")
    assert len(receiver.calls) == 5
    assert get(quick)["state"] == "done"


def test_a_callback_follows_no_redirect(quick, wait_until):
    """A redirect could lead to where a callback may not go."""
    quick._queue._callbacks.pause = 0.001
    with Receiver(307) as receiver:
        post(quick, order(receiver))
        wait_until(lambda: get(quick)["callback_state"] == "given up")
    assert not receiver.redirected


def test_a_callback_is_delivered_after_a_restart(tmp_path, wait_until):
    """The job was done, but nobody could be told before the server died."""
    with Receiver() as receiver:
        address = order(receiver)
        receiver.stop()
        with JobServer.in_process(seconds=0, folder=tmp_path) as server:
            post(server, address)
            wait_until(lambda: get(server)["state"] == "done")
            assert get(server)["callback_state"] == "pending"
            server.kill()
        receiver.start()
        with JobServer(seconds=LONG, folder=tmp_path) as server:
            wait_until(lambda: get(server)["callback_state"] == "delivered")
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (7, "is a text"),
        ("http://127.0.0.1:9/" + "x" * 500, "is a text of at most"),
        ("", "begins with http://"),
        ("/done", "begins with http://"),
        ("https://127.0.0.1:9/done", "begins with http://"),
        ("file:///etc/passwd", "begins with http://"),
        ("http://", "goes to 127.0.0.1 or ::1"),
        ("http://example.org/", "goes to 127.0.0.1 or ::1"),
        ("http://localhost:9/", "goes to 127.0.0.1 or ::1"),
        ("http://127.0.0.1.example.org/", "goes to 127.0.0.1 or ::1"),
        ("http://127.0.0.1@example.org/", "goes to 127.0.0.1 or ::1"),
        ("http://127.0.0.1:9@example.org/", "goes to 127.0.0.1 or ::1"),
        ("http://example.org#@127.0.0.1/", "goes to 127.0.0.1 or ::1"),
        ("http://example.org\\@127.0.0.1/", ""),
        ("http://169.254.169.254/latest/meta-data", "goes to 127.0.0.1 or ::1"),
        ("http://10.0.0.1/", "goes to 127.0.0.1 or ::1"),
        ("http://0.0.0.0:9/", "goes to 127.0.0.1 or ::1"),
        ("http://2130706433/", "goes to 127.0.0.1 or ::1"),
        ("http://127.1/", "goes to 127.0.0.1 or ::1"),
        ("http://[::ffff:10.0.0.1]/", "goes to 127.0.0.1 or ::1"),
        ("http://user:secret@127.0.0.1:9/", "has no user"),
        ("http://127.0.0.1:99999/", "is an address"),
        ("http://127.0.0.1:x/", "is an address"),
        ("http://[::1/", "is an address"),
        ("http://127.0.0.1:{port}/jobs", "goes to a server of yours"),
    ],
)
def test_a_callback_goes_to_this_machine_only(slow, callback, message):
    """The server can not be made to ask others (SSRF), nor itself; it says why not."""
    if isinstance(callback, str):
        callback = callback.replace("{port}", str(slow.port))
    detail = is_problem(post(slow, CATS | {"callback": callback}), 422)
    assert detail.startswith(f"A callback {message}")
    assert slow.jobs == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_callback_may_go_to_loopback(slow, host):
    """Of both families."""
    callback = {"callback": f"http://{host}:9/done?for=me"}
    assert post(slow, CATS | callback).status_code == 202


# -- repeated ------------------------------------------------------------------------


def test_an_idempotency_key_makes_one_job(slow):
    """Whoever repeats the request, even at the same time, gets the same job."""

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient() as client:
            request = slow.make_url("/jobs")
            key = {"Idempotency-Key": "k"}
            asked = [client.post(request, json=CATS, headers=key) for _ in range(5)]
            return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.headers["Location"] for answer in answers} == {"/jobs/1"}
    assert len(slow.jobs) == 1


def test_an_idempotency_key_outlives_a_restart(tmp_path):
    """The job is in the journal with its key."""
    for _ in range(2):
        with JobServer(seconds=LONG, folder=tmp_path) as server:
            answer = post(server, headers={"Idempotency-Key": "k"})
            assert answer.headers["Location"] == "/jobs/1"


def test_an_idempotency_key_with_another_body_is_refused(slow):
    """It is a mistake of the client."""
    key = {"Idempotency-Key": "k"}
    post(slow, headers=key)
    assert "another body" in is_problem(post(slow, {"video": "dogs"}, headers=key), 422)
    assert len(slow.jobs) == 1


# -- bounds --------------------------------------------------------------------------


def test_the_queue_is_bounded(slow):
    """503 and when to come back; a cancelled job makes room, a known one needs none."""
    slow._queue._max_jobs = 2
    key = {"Idempotency-Key": "k"}
    post(slow, headers=key)
    post(slow)
    refused = post(slow)
    assert "2 jobs are under way" in is_problem(refused, 503)
    assert int(refused.headers["Retry-After"]) >= 1
    assert post(slow, headers=key).status_code == 202
    httpx.delete(slow.make_url("/jobs/1"))
    assert post(slow).status_code == 202


def test_waiting_clients_are_bounded(slow):
    """503 for one too many."""
    slow.max_waiting_clients = 0
    assert "clients wait" in is_problem(post(slow, path="/compress"), 503)


def test_the_history_is_bounded(tmp_path, wait_until):
    """The oldest are forgotten, in memory and in the journal."""

    class Forgetful(JobServer):
        max_settled = 2

    with Forgetful(seconds=0, folder=tmp_path) as server:
        for number in range(1, 6):
            post(server)
            wait_until(lambda n=number: server.log[-1] == f"/jobs/{n} done")
        assert [job.id for job in server.jobs] == [4, 5]
        answer = httpx.get(server.make_url("/jobs/1"))
        assert "forgotten" in is_problem(answer, 404)
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as journal:
        assert journal.execute("SELECT id FROM jobs").fetchall() == [(4,), (5,)]
    journal.close()


def test_the_log_is_bounded(quick, monkeypatch):
    """It keeps the latest lines."""
    monkeypatch.setattr("helpers.servers.jobs.LOG_LINES", 2)
    post(quick, path="/compress")
    post(quick, path="/compress")
    assert len(quick.log) == 2


def test_the_loop_goes_on_while_the_disk_is_busy(slow):
    """The journal has a thread of its own."""
    free = threading.Event()
    slow._store._thread.submit(free.wait, 30)
    asking = threading.Thread(target=post, args=(slow,))
    asking.start()
    assert httpx.get(slow.make_url("/jobs/9")).status_code == 404
    assert asking.is_alive()
    free.set()
    asking.join(30)
    assert get(slow)["id"] == 1


# -- bad input -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/jobs", "/compress"])
@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "JSON"),
        (b"[]", 422, "Send "),
        (b"{}", 422, "video is a text"),
        (b'{"video": 7}', 422, "video is a text"),
        (b'{"video": ""}', 422, "video is a text"),
        (b'{"video": "a\\nb"}', 422, "printable"),
        (b'{"video": "\\ud800"}', 422, "printable"),
        (json.dumps({"video": "x" * 101}).encode(), 422, "1 to 100"),
        (b'{"video": "cats", "priority": 1}', 422, "Send "),
        (b'{"video": "' + b"x" * 20_000 + b'"}', 413, "at most 16384 bytes"),
    ],
)
def test_what_is_no_order_is_refused(quick, path, body, status, message):
    """The answer says what was wrong and what to send."""
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(quick.make_url(path), content=body, headers=headers)
    assert message in is_problem(answer, status)
    assert quick.jobs == []


def test_other_refusals(quick):
    """Another type, a callback for who waits, another method, another path."""
    assert "application/json" in is_problem(
        httpx.post(quick.make_url("/jobs"), content=b"cats"), 415
    )
    callback = CATS | {"callback": "http://127.0.0.1:9/"}
    assert "Try /jobs" in is_problem(post(quick, callback, "/compress"), 422)
    is_problem(httpx.get(quick.make_url("/jobs")), 405)
    for path in ("/jobs/1", "/jobs/0", "/jobs/cats", "/jobs/9999999999"):
        is_problem(httpx.get(quick.make_url(path)), 404)
        is_problem(httpx.delete(quick.make_url(path)), 404)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_duration_that_is_none_is_refused(seconds):
    """The error names the value."""
    with pytest.raises(ValueError, match="seconds is how long a job takes"):
        JobServer(seconds=seconds)
