"""An engine whose address lets its client in, and that tells its version."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from helpers.engines.engine import Engine, EngineFailed

__all__ = ["AddressedEngine"]


class AddressedEngine(Engine):
    """``url`` is all that a client needs, the password in it.

    A subclass names its ``product`` and its ``schemes``, and writes
    :meth:`make_address` and :meth:`ask_version`.
    """

    product: ClassVar[str]
    # What the address of a borrowed one may begin with, and the port that each means.
    schemes: ClassVar[Mapping[str, int]]

    def __init__(self, *, name: str | None = None, port: int = 0) -> None:
        super().__init__(name=name or self.product, port=port)
        self._password = secrets.token_urlsafe(16)
        self._version = ""

    @abstractmethod
    def make_address(self, port: int) -> str:
        """Of the one that is ours, at that port."""

    @abstractmethod
    def ask_version(self, url: str) -> str:
        """What the one at ``url`` says. Raises OSError or ValueError without it."""

    @property
    def url(self) -> str:
        """For any client. It holds the password."""
        if self.borrowed and self.running:
            return self.source.address()
        return self.make_address(self.port)

    @property
    def version(self) -> str:
        """As the server tells it: ``18.6``."""
        return self._version

    def ready(self, port: int) -> int | None:
        super().ready(port)  # cheaper than a whole client, and it raises OSError
        self._version = self.ask_version(self.make_address(port))
        return port

    def borrow(self, address: str) -> int:
        try:
            parts = urlsplit(address)
            if parts.scheme not in self.schemes:
                raise ValueError(
                    f"an address starts with {next(iter(self.schemes))}://"
                )
            self._version = self.ask_version(address)
            return parts.port or self.schemes[parts.scheme]
        except (OSError, ValueError) as error:
            name = self.source.variable
            raise EngineFailed(
                f"the {self.product} of {name} can not be had: {error}. "
                f"Correct {name}, or unset it"
            ) from None
