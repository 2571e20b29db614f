"""Valkey, started privately; or the one that VALKEY_URL or REDIS_URL names.

    with Valkey() as server:
        client = valkey.asyncio.from_url(server.url)

Its data is in memory only, so a :meth:`kill` loses all of it.
"""

from __future__ import annotations

from pathlib import Path

import valkey

from helpers.engines.addressed import AddressedEngine
from helpers.engines.sources import SOURCES

__all__ = ["Valkey"]


class Valkey(AddressedEngine):
    """An empty Valkey server, ``url`` with its password.

    ``max_memory`` bounds its data, in bytes: what would take more is refused with an
    error, for nothing is thrown away (noeviction).
    """

    source = SOURCES["valkey"]
    product = "Valkey"
    schemes = dict.fromkeys(("valkey", "valkeys", "redis", "rediss", "unix"), 6379)

    def __init__(
        self,
        *,
        name: str | None = None,
        port: int = 0,
        max_memory: int = 64 * 1024 * 1024,
    ) -> None:
        super().__init__(name=name, port=port)
        if max_memory < 1:  # to Valkey 0 means: without a bound
            raise ValueError(f"max_memory is 1 byte or more, not {max_memory!r}")
        self.max_memory = max_memory

    def make_address(self, port: int) -> str:
        return f"valkey://:{self._password}@{self.host}:{port}"

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

    def ask_version(self, url: str) -> str:
        try:
            with valkey.from_url(
                url, socket_connect_timeout=5, socket_timeout=5
            ) as client:
                told = client.info("server")
        except valkey.ValkeyError as error:  # also: it is loading its data
            raise OSError(str(error)) from None
        # Redis, which a borrowed one may be, has only the second.
        return told.get("valkey_version") or told["redis_version"]
