"""Many channels over one connection to Valkey, each with those who listen to it.

What a channel misses is gone (PUBLISH keeps nothing), so a connection that broke is
not made anew behind the listeners' backs: all of them are told that it is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import valkey
import valkey.asyncio

__all__ = ["Channels", "Listener"]


class Listener(Protocol):
    """One who listens to a channel."""

    def take(self, data: str) -> None:
        """A message has come."""

    def lose(self, reason: str) -> None:
        """Messages may be missing, and no more will come."""


@dataclass
class _Channel:
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: set[Listener] = field(default_factory=set)


class Channels:
    """The channels that one event loop listens to. ``client`` must set no time-out."""

    def __init__(self, client: valkey.asyncio.Valkey) -> None:
        self.lost: str | None = None  # and why
        self._client = client
        self._pubsub = client.pubsub()
        self._connecting = asyncio.Lock()
        self._reading: asyncio.Task | None = None
        self._channels: dict[str, _Channel] = {}
        self._unconfirmed: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def listen(self, name: str, listener: Listener) -> AsyncIterator[None]:
        """``listener`` gets all that is published within the context.

        Raises valkey.ConnectionError when there is no connection.
        """
        await self._connect()
        if self.lost is not None:  # meanwhile
            raise valkey.ConnectionError(self.lost)
        channel = self._channels.get(name)
        is_new = channel is None
        if is_new:
            channel = self._channels[name] = _Channel()
        channel.listeners.add(listener)
        try:
            if is_new:
                self._unconfirmed[name] += 1
                await self._pubsub.subscribe(name)
            await channel.confirmed.wait()
            yield
        finally:
            channel.listeners.discard(listener)
            if not channel.listeners:
                await self._leave(name, channel)

    async def _leave(self, name: str, channel: _Channel) -> None:
        if self._channels.get(name) is channel:
            del self._channels[name]
        if self.lost is None:
            with contextlib.suppress(valkey.ValkeyError, OSError):
                await self._pubsub.unsubscribe(name)

    async def _connect(self) -> None:
        async with self._connecting:
            if self._reading is None:
                await self._pubsub.connect()
                self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                message = await self._pubsub.get_message(timeout=None)
                if message is not None:
                    self._take(message)
        except Exception as error:
            self.lose(f"the connection to Valkey is lost: {error}")

    def _take(self, message: dict[str, Any]) -> None:
        name = message["channel"]
        channel = self._channels.get(name)
        if message["type"] == "subscribe":
            # One that was left may still be on its way, and another asked for.
            self._unconfirmed[name] -= 1
            if not self._unconfirmed[name]:
                del self._unconfirmed[name]
                if channel is not None:
                    channel.confirmed.set()
        elif message["type"] == "message" and channel is not None:
            for listener in channel.listeners.copy():
                listener.take(message["data"])

    def lose(self, reason: str) -> None:
        """Tell all who listen that it is over, and why."""
        self.lost = self.lost or reason
        for channel in self._channels.values():
            channel.confirmed.set()
            for listener in channel.listeners.copy():
                listener.lose(self.lost)

    async def close(self) -> None:
        """Let the connection go."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self._pubsub.aclose()
        await self._client.aclose()
