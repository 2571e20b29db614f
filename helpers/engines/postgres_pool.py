"""A pool of connections to PostgreSQL, for threads and for coroutines.

    with postgres.pool(20) as pool:
        pool.query(0.1)                 # a thread waits (psycopg)
        await pool.query_async(0.1)     # a coroutine waits (asyncpg)

Each style has ``size`` connections of its own, and all of them are open before the
first query. Whoever finds none free waits in line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self

import asyncpg
import psycopg
import psycopg_pool

__all__ = ["Pool"]

CONNECT = 15.0  # seconds for all connections of a pool together
LINE = 3600.0  # seconds that a thread may wait in line: a crowd may be large
CLOSE = 3.0  # seconds for a good-bye to the server

# A pool that loses its server tells so in the log of its library, and tries again.
# Our callers get an exception, so it need not come up in their notebook as well.
for library in ("asyncpg", "psycopg.pool"):
    logging.getLogger(library).addHandler(logging.NullHandler())


class Pool:
    """Answers queries that take a time, at most ``size`` of them at once in a style.

    Coroutines of any event loop may ask: the asyncpg pool, which can serve one loop
    only, lives on a loop and a thread of the pool's own. Those who ask must neither
    open it nor close it.

    Raises ValueError when ``size`` is not a whole number from 1.
    """

    def __init__(self, url: str, size: int = 20, *, name: str = "PostgreSQL") -> None:
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"size must be a whole number from 1, not {size!r}")
        self.name = name
        self.size = size
        self._url = url
        self._lock = threading.Lock()  # for open and close
        self._counting = threading.Lock()
        self._in_flight = 0
        self._peak = 0
        self._threads: psycopg_pool.ConnectionPool | None = None
        self._coroutines: _AsyncPool | None = None

    @property
    def peak(self) -> int:
        """The most queries that ever ran in the database at once."""
        return self._peak

    def open(self) -> Self:
        """Connect, with all connections of both styles. Idempotent.

        Raises OSError when the database does not take so many.
        """
        with self._lock:
            if self._threads is not None:
                return self
            try:
                _check_room(self._url, 2 * self.size)
                self._coroutines = _AsyncPool(self._url, self.size)
                self._threads = _thread_pool(self._url, self.size)
            except (psycopg.Error, asyncpg.PostgresError, TimeoutError) as error:
                self._close()
                raise OSError(f"no pool of {self.size}: {error}") from error
            except BaseException:  # a kernel interrupt too
                self._close()
                raise
        return self

    def close(self) -> None:
        """Close all connections; queries that still wait fail. Idempotent."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        threads, self._threads = self._threads, None
        coroutines, self._coroutines = self._coroutines, None
        if coroutines is not None:
            coroutines.close()
        if threads is not None:
            threads.close(timeout=CLOSE)

    def query(self, seconds: float) -> str:
        """Ask, and hold this thread until PostgreSQL answers, after ``seconds``.

        Raises ValueError when ``seconds`` is negative or not finite.
        """
        _check(seconds)
        with self._opened(self._threads).connection() as connection, self._counted():
            connection.execute("SELECT pg_sleep(%s)", [seconds])
        return f"answered after {seconds:g} s"

    async def query_async(self, seconds: float) -> str:
        """Ask, and let the event loop go on until PostgreSQL answers.

        Raises ValueError when ``seconds`` is negative or not finite.
        """
        _check(seconds)

        async def ask(connection: asyncpg.Connection) -> None:
            with self._counted():
                await connection.execute("SELECT pg_sleep($1)", seconds)

        await self._opened(self._coroutines).run(ask)
        return f"answered after {seconds:g} s"

    def _opened(self, pool: Any) -> Any:
        if pool is None:
            raise RuntimeError("the pool is not open: use `with`, or open() it")
        return pool

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts a query that has its connection; both styles come by here."""
        with self._counting:
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)
        try:
            yield
        finally:
            with self._counting:
                self._in_flight -= 1

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._threads is None else "open"
        return f"<Pool of {self.size} ({self.name}), {state}, peak {self.peak}>"


def _check(seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a query takes 0 seconds or more, not {seconds!r}")


def _check_room(url: str, wanted: int) -> None:
    """A pool that does not fit would try again and again, for ever."""
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
        [free] = connection.execute(
            "SELECT current_setting('max_connections')::int - count(*) + 1"
            " FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchone()
    if wanted > free:
        raise OSError(
            f"the pool wants {wanted} connections, half of them for threads, and "
            f"PostgreSQL has room for {free}: make the pool smaller, or raise "
            "max_connections"
        )


def _thread_pool(url: str, size: int) -> psycopg_pool.ConnectionPool:
    pool = psycopg_pool.ConnectionPool(
        url,
        min_size=size,
        max_size=size,
        timeout=LINE,
        kwargs={"autocommit": True},  # or each query pays a BEGIN and a ROLLBACK
        open=False,
    )
    try:
        pool.open(wait=True, timeout=CONNECT)
    except BaseException:
        pool.close(timeout=CLOSE)
        raise
    return pool


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """Our queries leave nothing that is worth a round trip to reset it."""


class _AsyncPool:
    """An asyncpg pool on an event loop, and a thread, of its own."""

    def __init__(self, url: str, size: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="PostgreSQL pool", daemon=True
        )
        self._thread.start()
        self._pool: asyncpg.Pool | None = None
        try:
            self._call(self._open(url, size)).result(CONNECT)
        except BaseException:
            self.close()
            raise

    def _call(self, coroutine: Awaitable) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _open(self, url: str, size: int) -> None:
        self._pool = await asyncpg.create_pool(
            url, min_size=size, max_size=size, reset=_leave_as_it_is
        )

    async def run(self, ask: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        """``await ask(connection)`` with a connection, from any event loop."""

        async def with_connection() -> None:
            async with self._pool.acquire() as connection:
                await ask(connection)

        asked = self._call(with_connection())
        try:
            await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():
                raise
            raise RuntimeError("the pool was closed while the query waited") from None

    def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            self._call(self._say_goodbye()).result(2 * CLOSE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _say_goodbye(self) -> None:
        asking = asyncio.all_tasks() - {asyncio.current_task()}
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), CLOSE)
        except Exception:  # the server is dead, and needs no good-bye
            self._pool.terminate()
