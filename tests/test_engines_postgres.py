"""helpers/engines/postgres.py and postgres_pool.py: a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil
import psycopg
import pytest

from helpers.engines import engine
from helpers.engines.engine import EngineFailed
from helpers.engines.postgres import Postgres, database
from helpers.engines.postgres_pool import Pool
from helpers.servers.database import Database
from tests.test_child import alive

# A kernel that runs PostgreSQL with a pool, and waits to be killed.
KERNEL = """
import sys
from helpers.engines.postgres import Postgres
postgres = Postgres().start()
pool = postgres.pool(2).open()
print(postgres.folder, postgres.pid, flush=True)
sys.stdin.read()
"""
# One that starts it, asks it in both styles, and just ends.
LEAVES = """
import asyncio
from helpers.engines.postgres import Postgres
postgres = Postgres().start()
pool = postgres.pool(2).open()
pool.query(0)
asyncio.run(pool.query_async(0))
print(postgres.folder)
"""


@pytest.fixture(autouse=True, scope="module")
def no_database_url() -> Iterator[None]:
    """These tests start their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        yield


@pytest.fixture(scope="module")
def server(no_database_url) -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def pool(server) -> Iterator[Pool]:
    with server.pool(4) as pool:
        yield pool


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


def shared_memory_of(pid: int) -> list[str]:
    """The System V segments that a process made, which may outlive it (Linux)."""
    table = Path("/proc/sysvipc/shm")
    rows = table.read_text().splitlines()[1:] if table.exists() else []
    return [row for row in rows if int(row.split()[4]) == pid]


def test_any_client_gets_in_by_its_url(server):
    """psycopg, and asyncpg on the learner's own loop."""

    async def ask() -> str:
        connection = await asyncpg.connect(server.url)
        try:
            return await connection.fetchval("SHOW server_version")
        finally:
            await connection.close()

    assert scalar(server.url, "SHOW server_version").startswith(server.version)
    assert asyncio.run(ask()).startswith(server.version)


def test_nobody_gets_in_without_the_password(server):
    """Other users of this machine reach loopback too."""
    url = server.url.replace(server._password, "guess")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url)


def test_the_card_does_not_show_the_password(server, pool):
    """It is stored with the notebook."""
    for text in [repr(server), server._repr_html_(), repr(pool)]:
        assert server._password not in text
    assert f"127.0.0.1:{server.port}" in repr(server)


def test_listens_on_loopback_only(server):
    """Neither on other addresses nor on a socket outside its folder."""
    assert scalar(server.url, "SHOW listen_addresses") == "127.0.0.1"
    assert scalar(server.url, "SHOW unix_socket_directories") == ""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
def test_runs_as_nobody_where_we_are_root(server):
    """PostgreSQL refuses root."""
    nobody = pwd.getpwnam("nobody").pw_uid
    assert set(psutil.Process(server.pid).uids()) == {nobody}
    assert server.folder.stat().st_uid == nobody


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
def test_a_program_that_nobody_can_reach_is_copied(monkeypatch):
    """As when the workbook lies below /root: only that is open to root alone."""
    monkeypatch.setattr(engine, "reachable", lambda path: False)
    with Postgres() as server:
        program = Path(psutil.Process(server.pid).exe())
        assert program.is_relative_to(server.folder.resolve())


def test_comes_back_after_a_kill_with_what_was_committed():
    """At the same address. No process of it is left meanwhile."""
    with Postgres() as server:
        port, pid = server.port, server.pid
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS beads")
        backends = psutil.Process(pid).children(recursive=True)
        assert backends
        server.kill()
        assert not any(alive(process.pid) for process in backends)
        assert not shared_memory_of(pid)
        server.start()
        assert server.port == port
        assert scalar(server.url, "SELECT beads FROM kept") == 7


def test_stop_gives_the_shared_memory_back(server):
    """System V's is given back by PostgreSQL; the rest is in its folder."""
    assert scalar(server.url, "SHOW dynamic_shared_memory_type") == "mmap"
    with Postgres() as other:
        pid = other.pid
        assert shared_memory_of(pid) or sys.platform != "linux"
    assert not shared_memory_of(pid)


@pytest.mark.parametrize("deadly", ["kill", "terminate"])
def test_all_goes_with_the_kernel(deadly, wait_until):
    """Each of its processes, its folder, and its shared memory."""
    with subprocess.Popen(
        [sys.executable, "-c", KERNEL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as kernel:
        folder, pid = kernel.stdout.readline().split()
        family = [child.pid for child in psutil.Process(int(pid)).children()]
        assert Path(folder).is_dir() and len(family) > 4
        getattr(kernel, deadly)()
        wait_until(lambda: not Path(folder).exists())
        assert not any(map(alive, [int(pid), *family]))
        assert not shared_memory_of(int(pid))


def test_a_kernel_that_ends_leaves_neither_trace_nor_complaint():
    """Nothing was closed by hand, and nothing is printed at exit."""
    left = subprocess.run(
        [sys.executable, "-X", "dev", "-c", LEAVES],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert left.stderr == ""
    assert not Path(left.stdout.strip()).exists()


def test_database_url_is_used_and_never_ended(server, monkeypatch):
    """Nothing of ours is started beside it."""
    monkeypatch.setenv("DATABASE_URL", server.url)
    with Postgres() as borrowed:
        assert borrowed.borrowed and borrowed.running
        assert (borrowed.url, borrowed.port) == (server.url, server.port)
        with borrowed.pool(2) as pool:
            assert pool.query(0) == "answered after 0 s"
    assert server.running and scalar(server.url, "SELECT 1") == 1


@pytest.mark.parametrize(
    "url", ["mysql://127.0.0.1/x", "postgresql://127.0.0.1:1/x", "postgresql://[x"]
)
def test_a_database_url_that_is_no_good_is_named(url, monkeypatch):
    """With what to do about it."""
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(EngineFailed, match="Correct DATABASE_URL, or unset it"):
        Postgres().start()


def test_a_program_without_initdb_beside_it_does_not_count(tmp_path, monkeypatch):
    """The package's postgres has it."""
    lonely = tmp_path / "postgres"
    lonely.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert Postgres.find() != lonely
    assert (Postgres.find().parent / "initdb").exists()


# -- its pool ----------------------------------------------------------------------


def test_all_connections_are_open_before_the_first_query(server):
    """As many as its size, in each of the two styles."""
    count = (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    before = scalar(server.url, count)
    with server.pool(3):
        assert scalar(server.url, count) == before + 6


@pytest.mark.parametrize("crowd", [1, 4, 12])
def test_threads_share_the_pool(server, crowd):
    """At most ``size`` queries run; the others wait in line."""
    with server.pool(4) as pool, ThreadPoolExecutor(crowd) as threads:
        answers = list(threads.map(pool.query, [0.05] * crowd))
        assert answers == ["answered after 0.05 s"] * crowd
        assert pool.peak == min(crowd, 4)


@pytest.mark.parametrize("crowd", [1, 4, 12])
def test_coroutines_share_the_pool(server, crowd):
    """The same, without a thread for each."""

    async def main(pool: Pool) -> list[str]:
        return await asyncio.gather(*(pool.query_async(0.05) for _ in range(crowd)))

    with server.pool(4) as pool:
        assert asyncio.run(main(pool)) == ["answered after 0.05 s"] * crowd
        assert pool.peak == min(crowd, 4)


def test_coroutines_of_several_loops_share_the_pool(pool):
    """Servers have loops of their own, which come and go."""
    answers = []

    def serve() -> None:
        answers.append(asyncio.run(pool.query_async(0.01)))

    threads = [threading.Thread(target=serve) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["answered after 0.01 s"] * 5


def test_the_loop_goes_on_while_a_query_runs(pool):
    """Something else gets its turns meanwhile."""

    async def main() -> int:
        turns = 0
        query = asyncio.create_task(pool.query_async(0.2))
        while not query.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns

    assert asyncio.run(main()) > 5


def test_a_cancelled_query_gives_its_connection_back(server, wait_until):
    """And PostgreSQL does not go on with it."""

    async def main(pool: Pool) -> None:
        query = asyncio.create_task(pool.query_async(600))
        await asyncio.to_thread(wait_until, lambda: pool.peak)
        query.cancel()
        with pytest.raises(asyncio.CancelledError):
            await query
        await asyncio.wait_for(pool.query_async(0), 30)

    with server.pool(1) as pool:
        asyncio.run(main(pool))


def test_close_ends_the_queries_that_wait(server, wait_until):
    """They fail with a word why; it is no cancellation of the task's."""

    async def main(pool: Pool) -> None:
        queries = [asyncio.create_task(pool.query_async(600)) for _ in range(2)]
        await asyncio.to_thread(wait_until, lambda: pool.peak)
        await asyncio.to_thread(pool.close)
        for error in await asyncio.gather(*queries, return_exceptions=True):
            assert isinstance(error, RuntimeError) and "closed" in str(error)

    with server.pool(1) as pool:
        asyncio.run(main(pool))


def test_a_closed_pool_can_be_opened_again(server):
    """Until then it says that it is not open."""
    pool = server.pool(1)
    with pytest.raises(RuntimeError, match="not open"):
        pool.query(0)
    for _ in range(2):
        with pool:
            assert pool.open() is pool
            assert pool.query(0) == "answered after 0 s"
    pool.close()
    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(pool.query_async(0))


def test_a_pool_that_does_not_fit_is_refused(server):
    """At once, with how much room there is."""
    with pytest.raises(OSError, match=r"wants 2000 connections.* has room for \d+"):
        server.pool(1000).open()


def test_coroutines_come_back_after_a_kill(wait_until):
    """A query under way fails; the pool finds the restarted server by itself."""

    async def main(server: Postgres, pool: Pool) -> str:
        query = asyncio.create_task(pool.query_async(600))
        await asyncio.to_thread(wait_until, lambda: pool.peak)
        await asyncio.to_thread(server.kill)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await query
        await asyncio.to_thread(server.start)
        return await pool.query_async(0)

    with Postgres() as server, server.pool(1) as pool:
        assert asyncio.run(main(server, pool)) == "answered after 0 s"


@pytest.mark.parametrize("size", [0, -1, 2.5, "20"])
def test_the_size_of_a_pool_is_a_whole_number(server, size):
    """The error tells what was given."""
    with pytest.raises(ValueError, match=f"whole number from 1, not {size!r}"):
        server.pool(size)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_query_takes_a_time(pool, seconds):
    """As with the stand-in."""
    with pytest.raises(ValueError, match="0 seconds or more"):
        pool.query(seconds)
    with pytest.raises(ValueError, match="0 seconds or more"):
        asyncio.run(pool.query_async(seconds))


# -- PostgreSQL, or a stand-in --------------------------------------------------------


def test_database_is_postgresql_where_it_is(server, monkeypatch):
    """And its name says so."""
    monkeypatch.setenv("DATABASE_URL", server.url)
    with database(pool=2) as db:
        assert db.name == f"PostgreSQL {server.version}"
        assert db.query(0) == Database().query(0)


def test_database_is_a_stand_in_elsewhere(monkeypatch):
    """With as many workers, and a name that says so."""
    monkeypatch.setattr(Postgres, "find", lambda: None)
    with database(pool=2) as db:
        assert isinstance(db, Database) and db.workers == 2
        assert db.name == "stand-in, in this kernel"


def test_a_database_that_does_not_start_warns(monkeypatch):
    """The lesson goes on with the stand-in, and the reason is there to read."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/x")
    with pytest.warns(UserWarning, match="DATABASE_URL"), database(pool=2) as db:
        assert isinstance(db, Database)


def test_what_the_cell_raises_is_not_taken_for_the_databases_fault(server, monkeypatch):
    """An OSError of a client goes to the learner."""
    monkeypatch.setenv("DATABASE_URL", server.url)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConnectionResetError), database(pool=1):
            raise ConnectionResetError
