"""Valkey, started privately; or the one that VALKEY_URL or REDIS_URL names.

    with Valkey() as server:
        client = valkey.asyncio.from_url(server.url)

Its data is in memory only, so a :meth:`kill` loses all of it.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import urlsplit

import valkey

from helpers.engines.engine import Engine, EngineFailed
from helpers.engines.sources import SOURCES

__all__ = ["Valkey"]

PORT = 6379  # of an address that does not name one


class Valkey(Engine):
    """An empty Valkey server, ``url`` with its password.

    ``max_memory`` bounds its data, in bytes: what would take more is refused with an
    error, for nothing is thrown away (noeviction).
    """

    source = SOURCES["valkey"]

    def __init__(
        self,
        *,
        name: str | None = None,
        port: int = 0,
        max_memory: int = 64 * 1024 * 1024,
    ) -> None:
        super().__init__(name=name or "Valkey", port=port)
        if max_memory < 1:  # to Valkey 0 means: without a bound
            raise ValueError(f"max_memory is 1 byte or more, not {max_memory!r}")
        self.max_memory = max_memory
        self._password = secrets.token_urlsafe(16)
        self._version = ""

    @property
    def url(self) -> str:
        """``valkey://…``: for any client. It holds the password."""
        if self.borrowed and self.running:
            return self.source.address()
        return self._make_url(self.port)

    def _make_url(self, port: int) -> str:
        return f"valkey://:{self._password}@{self.host}:{port}"

    @property
    def version(self) -> str:
        """As the server tells it: ``9.1.2``."""
        return self._version

    def prepare(self, program: Path) -> None:
        # Not on the command line, where every user of this machine can read it.
        self._settings.touch(mode=0o600)
        self._settings.write_text(f"requirepass {self._password}\n")

    @property
    def _settings(self) -> Path:
        return self.folder / "valkey.conf"

    def command(self, program: Path, port: int) -> list[str]:
        return [
            *(str(program), str(self._settings)),
            *("--bind", self.host, "--port", str(port)),
            *("--dir", str(self.folder), "--save", "", "--appendonly", "no"),
            *("--maxmemory", str(self.max_memory)),
            *("--maxmemory-policy", "noeviction"),
        ]

    def ready(self, port: int) -> int | None:
        super().ready(port)  # cheaper than a whole client, and it raises OSError
        self._ask_version(self._make_url(port))
        return port

    def borrow(self, address: str) -> int:
        try:
            self._ask_version(address)
            return urlsplit(address).port or PORT
        except (OSError, ValueError) as error:
            name = self.source.variable
            raise EngineFailed(
                f"the Valkey of {name} can not be had: {error}. "
                f"Correct {name}, or unset it"
            ) from None

    def _ask_version(self, url: str) -> None:
        try:
            with valkey.from_url(
                url, socket_connect_timeout=5, socket_timeout=5
            ) as client:
                told = client.info("server")
        except valkey.ValkeyError as error:  # also: it is loading its data
            raise OSError(str(error)) from None
        # Redis, which a borrowed one may be, has only the second.
        self._version = told.get("valkey_version") or told["redis_version"]
