"""PostgreSQL, started privately; or the one that DATABASE_URL names.

with Postgres() as postgres:
    connection = await asyncpg.connect(postgres.url)

with database(pool=20) as db:           # PostgreSQL, or the stand-in for it
    await db.query_async(0.1)
"""

from __future__ import annotations

import shutil
import signal
import warnings
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from helpers.engines.addressed import AddressedEngine
from helpers.engines.engine import EngineFailed, EngineMissing
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


class Postgres(AddressedEngine):
    """A PostgreSQL server with an empty database, ``url`` with its password.

    ``max_connections`` bounds all pools and clients together.
    """

    source = SOURCES["postgres"]
    product = "PostgreSQL"
    schemes = dict.fromkeys(("postgresql", "postgres"), 5432)
    refuses_root = True
    # Immediate shutdown: no checkpoint, but its shared memory is given back.
    quit_by = getattr(signal, "SIGQUIT", signal.SIGTERM)

    def __init__(
        self, *, name: str | None = None, port: int = 0, max_connections: int = 200
    ) -> None:
        super().__init__(name=name, port=port)
        self.max_connections = max_connections
        self._pools: weakref.WeakSet[Pool] = weakref.WeakSet()

    @classmethod
    def find(cls) -> Path | None:
        """The first that has initdb beside it: some packages have clients only."""
        return next(filter(_initdb, cls.source.programs()), None)

    def make_address(self, port: int) -> str:
        return f"postgresql://{USER}:{self._password}@{self.host}:{port}/postgres"

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

    def ask_version(self, url: str) -> str:
        try:
            with psycopg.connect(url, connect_timeout=5, autocommit=True) as client:
                row = client.execute("SHOW server_version").fetchone()
        except psycopg.Error as error:  # also: the database system is starting up
            raise OSError(str(error).strip()) from None
        return row[0].split()[0]


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
