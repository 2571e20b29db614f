"""PostgreSQL, started privately; or the one that DATABASE_URL names.

with Postgres() as postgres:
    connection = await asyncpg.connect(postgres.url)

with database(pool=20) as db:           # PostgreSQL, or the stand-in for it
    await db.query_async(0.1)
"""

from __future__ import annotations

import secrets
import shutil
import signal
import warnings
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from helpers.engines.engine import Engine, EngineFailed, EngineMissing
from helpers.engines.postgres_pool import Pool
from helpers.engines.sources import SOURCES
from helpers.servers.database import Database, Queries

__all__ = ["Postgres", "database"]

USER = "postgres"
# It is thrown away at the end, so it need not be safe from a power cut; and it
# shares 2 GB with all the rest. Names and units: postgresql.org/docs, chapter 19.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "unix_socket_directories": "",  # TCP on loopback only
    # In its folder, not in /dev/shm, where a SIGKILL would leave it.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres(Engine):
    """A PostgreSQL server with an empty database, ``url`` with its password.

    ``max_connections`` bounds all pools and clients together.
    """

    source = SOURCES["postgres"]
    refuses_root = True
    # Immediate shutdown: no checkpoint, but its shared memory is given back.
    quit_by = getattr(signal, "SIGQUIT", signal.SIGTERM)

    def __init__(
        self, *, name: str | None = None, port: int = 0, max_connections: int = 200
    ) -> None:
        super().__init__(name=name or "PostgreSQL", port=port)
        self.max_connections = max_connections
        self._password = secrets.token_urlsafe(16)
        self._pools: weakref.WeakSet[Pool] = weakref.WeakSet()
        self._version = ""

    @classmethod
    def find(cls) -> Path | None:
        """The first that has initdb beside it: some packages have clients only."""
        return next(filter(_initdb, cls.source.programs()), None)

    @property
    def url(self) -> str:
        """``postgresql://…``: for any client, psql too. It holds the password."""
        if self.borrowed and self.running:
            return self.source.address()
        return self._make_url(self.port)

    def _make_url(self, port: int) -> str:
        return f"postgresql://{USER}:{self._password}@{self.host}:{port}/postgres"

    @property
    def version(self) -> str:
        """As the server tells it: ``18.6``."""
        return self._version

    def pool(self, size: int = 20) -> Pool:
        """A pool of ``size`` connections, for a ``with``; closed by stop() too."""
        pool = Pool(self.url, size, name=f"PostgreSQL {self.version}")
        self._pools.add(pool)
        return pool

    def stop(self) -> None:
        """Close its pools, and end it, unless it is borrowed. Idempotent."""
        for pool in list(self._pools):
            pool.close()
        super().stop()

    def prepare(self, program: Path) -> None:
        # The password keeps other users of this machine out; it travels as it is,
        # for nobody listens on loopback, and SCRAM costs 10 ms a connection.
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        self.give(secret)
        self.run(
            [
                str(_initdb(program)),
                *("--pgdata", str(self._data), "--username", USER),
                *("--auth", "password", "--pwfile", str(secret)),
                *("--no-locale", "--encoding", "UTF8"),
                *("--no-sync", "--no-instructions"),
            ]
        )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def command(self, program: Path, port: int) -> list[str]:
        settings = SETTINGS | {
            "listen_addresses": self.host,
            "port": str(port),
            "max_connections": str(self.max_connections),
        }
        options = (f"--{name}={value}" for name, value in settings.items())
        return [str(program), "-D", str(self._data), *options]

    def ready(self, port: int) -> int | None:
        super().ready(port)  # cheaper than a whole client, and it raises OSError
        self._ask_version(self._make_url(port))
        return port

    def borrow(self, address: str) -> int:
        try:
            parts = urlsplit(address)
            if parts.scheme not in ("postgres", "postgresql"):
                raise ValueError("an address starts with postgresql://")
            self._ask_version(address)
        except (OSError, ValueError) as error:
            raise EngineFailed(
                f"the PostgreSQL of DATABASE_URL can not be had: {error}. "
                "Correct DATABASE_URL, or unset it"
            ) from None
        return parts.port or 5432

    def _ask_version(self, url: str) -> None:
        try:
            with psycopg.connect(url, connect_timeout=5, autocommit=True) as client:
                row = client.execute("SHOW server_version").fetchone()
        except psycopg.Error as error:  # also: the database system is starting up
            raise OSError(str(error).strip()) from None
        self._version = row[0].split()[0]


def _initdb(program: Path) -> Path | None:
    found = shutil.which("initdb", path=str(program.parent))
    return Path(found) if found else None


@contextmanager
def database(pool: int = 20) -> Iterator[Queries]:
    """PostgreSQL behind a pool, all its connections open; or a stand-in for it.

    Its ``name`` says which of the two. Where PostgreSQL is here and yet does not
    start, a warning says why.
    """
    with ExitStack() as stack:
        try:
            postgres = stack.enter_context(Postgres())
            queries: Queries = stack.enter_context(postgres.pool(pool))
        except EngineMissing:
            queries = Database(workers=pool)
        except (EngineFailed, OSError) as error:
            warnings.warn(f"{error}\nA stand-in takes its place", stacklevel=3)
            queries = Database(workers=pool)
        yield queries
