"""A backplane for chat servers in several processes: Valkey is what they share.

    with Valkey() as valkey:
        shared = ValkeyBackplane(valkey.url)
        with ChatServer.in_process(backplane=shared) as a, ChatServer(backplane=shared):
            ...

What happens in a room is decided by a script that runs in Valkey (valkey_room.lua).
Events come back by PUBLISH, to all servers that listen to the room.

A server that dies can not say that its members left. So each server holds a lease on
each room that it listens to, and renews it; when the lease runs out, the script lets
the server's members leave, and their names are free again. If that server was not
dead but stood still, it hears of this, and its subscription is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.resources
import json
import secrets
import threading
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any
from weakref import WeakKeyDictionary

import valkey.asyncio
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff

from helpers.engines.valkey_channels import Channels
from helpers.servers.chat_room import Event, Snapshot, key_of, refusal
from helpers.servers.subscription import Subscription

__all__ = ["ValkeyBackplane"]

SCRIPT = importlib.resources.files("helpers.engines") / "valkey_room.lua"
CONNECTIONS = 4  # for the commands of one event loop; more of them wait in line
CONNECT = 5.0  # seconds


class ValkeyBackplane:
    """A backplane in the Valkey at ``url``; the keys there start with ``prefix``.

    ``history_limit``, ``max_rooms``, ``max_members`` and ``backlog`` are as with
    InKernelBackplane. A server whose lease is not renewed for ``lease`` seconds counts
    as dead. Valkey has ``patience`` seconds to answer. A room that nobody asks for is
    forgotten after ``forget_after`` seconds.

    Methods raise valkey.ValkeyError when Valkey does not answer. Whether somebody
    joined or left is not known then, so this server starts over: all its subscriptions
    are lost, and Valkey holds it for a new one, with no members.

    It can be sent to another process. The connections of an event loop stay open
    while something on that loop is subscribed.
    """

    def __init__(
        self,
        url: str,
        *,
        history_limit: int = 100,
        max_rooms: int = 1000,
        max_members: int = 10_000,
        backlog: int = 4096,
        lease: float = 15.0,
        patience: float = 5.0,
        forget_after: float = 3600.0,
        prefix: str = "chat",
    ) -> None:
        if history_limit < 0 or min(max_rooms, max_members, backlog) < 1:
            raise ValueError("limits are at least 1, and 0 for no history")
        if not (lease > 0 and patience > 0 and forget_after > lease):
            raise ValueError(
                "lease, patience and forget_after are seconds, and what still has a "
                "lease is not forgotten"
            )
        self.url = url
        self.backlog = backlog
        self.lease = lease
        self.patience = patience
        self.prefix = prefix
        self._limits = {
            "history_limit": history_limit,
            "max_rooms": max_rooms,
            "max_members": max_members,
            "lease": lease,
            "forget_after": forget_after,
        }
        # A process of its own is a server of its own, also when this is sent to it.
        self._server = secrets.token_hex(8)
        self._lines: WeakKeyDictionary[Any, _Line] = WeakKeyDictionary()
        self._lock = threading.Lock()

    # -- what a backplane does -----------------------------------------------------

    async def join(self, event: Event) -> Snapshot:
        async with self._line() as line:
            _, *room = await self._step(line, "join", event.room, event)
        return _snapshot(*room)

    async def publish(self, event: Event) -> Event:
        async with self._line() as line:
            [message] = await self._step(line, "publish", event.room, event)
        return _Message(message).event

    async def snapshot(self, room: str) -> Snapshot:
        async with self._line() as line:
            _, *room = await self._step(line, "snapshot", room)
        return _snapshot(*room)

    @contextlib.asynccontextmanager
    async def subscribe(self, room: str) -> AsyncIterator[AsyncIterator[Event]]:
        listener = _Listener(self._server, self.backlog)
        channel = f"{self.prefix}:room:{room}:events"
        async with self._line() as line, line.channels.listen(channel, listener):
            await self._step(line, "renew", room)
            with line.renewing(room, self._renew):
                yield listener.events

    # -- how it does it --------------------------------------------------------------

    async def _step(
        self, line: _Line, do: str, room: str, event: Event | None = None
    ) -> list[Any]:
        """Run the script; what it returned. Raises ChatError when it refused."""
        server = self._server
        ask = {"do": do, "room": room, "server": server, "prefix": self.prefix}
        if event is not None:
            ask["event"] = {
                "type": event.type,
                "name": event.name,
                "key": key_of(event.name),
                "to": event.to,
                "to_key": key_of(event.to),
                "payload": json.dumps(asdict(event)),
            }
        try:
            answer, *more = await line.run(
                keys=[f"{self.prefix}:rooms"], args=[json.dumps(ask | self._limits)]
            )
        except (valkey.ConnectionError, valkey.TimeoutError) as error:
            self._start_over(server, f"Valkey does not answer: {error}")
            raise
        if answer == "refused":
            raise refusal(*more)
        return more

    def _start_over(self, server: str, reason: str) -> None:
        """Be another server than ``server`` was; its lease will run out."""
        with self._lock:
            if self._server != server:  # that was done already
                return
            self._server = secrets.token_hex(8)
            lines = list(self._lines.values())
        for line in lines:
            line.lose(reason)

    async def _renew(self, line: _Line) -> None:
        """Renew the leases of a loop's rooms, until that fails."""
        try:
            while True:
                await asyncio.sleep(self.lease / 3)
                for room in list(line.rooms):
                    await self._step(line, "renew", room)
        except valkey.ValkeyError as error:
            line.lose(f"a lease could not be renewed: {error}")

    @contextlib.asynccontextmanager
    async def _line(self) -> AsyncIterator[_Line]:
        """The connections of this loop; they are closed by the last who needs them."""
        loop = asyncio.get_running_loop()
        with self._lock:
            line = self._lines.get(loop)
            if line is None or line.channels.lost is not None:
                line = self._lines[loop] = _Line(self.url, self.patience)
        line.users += 1
        try:
            yield line
        finally:
            line.users -= 1
            if not line.users:
                with self._lock:
                    if self._lines.get(loop) is line:
                        del self._lines[loop]
                await line.close()

    def __reduce__(self) -> tuple[Any, ...]:
        settings = self._limits | {
            "backlog": self.backlog,
            "patience": self.patience,
            "prefix": self.prefix,
        }
        return functools.partial(ValkeyBackplane, **settings), (self.url,)


class _Line:
    """What one event loop has of Valkey: a client, and the channels it listens to."""

    def __init__(self, url: str, patience: float) -> None:
        # A command whose answer did not come may have been done: never send it again.
        options = {
            "decode_responses": True,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": CONNECT,
            # A channel may be silent for as long as it likes. For commands run() has
            # a time-out: the client's would use wait_for, which in Python 3.11 can
            # swallow the cancellation of a task (python/cpython#86296).
            "socket_timeout": None,
            "socket_keepalive": True,
        }
        self._client = valkey.asyncio.from_url(url, **options)
        self._patience = patience
        self._script = self._client.register_script(SCRIPT.read_text())
        self._free = asyncio.Semaphore(CONNECTIONS)
        self.channels = Channels(valkey.asyncio.from_url(url, **options))
        self.users = 0
        self._loop = asyncio.get_running_loop()
        self.rooms: dict[str, int] = {}  # and how many subscriptions each has
        self._renewing: asyncio.Task | None = None

    async def run(self, **ask: Any) -> list[Any]:
        """Run the script once one of the connections is free."""
        async with self._free:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._script(**ask)
            except TimeoutError:
                raise valkey.TimeoutError(f"not in {self._patience:g} s") from None

    @contextlib.contextmanager
    def renewing(self, room: str, renew: Any) -> Any:
        """The lease on ``room`` is renewed within the context."""
        self.rooms[room] = self.rooms.get(room, 0) + 1
        if self._renewing is None:
            self._renewing = asyncio.create_task(renew(self))
        try:
            yield
        finally:
            self.rooms[room] -= 1
            if not self.rooms[room]:
                del self.rooms[room]

    def lose(self, reason: str) -> None:
        """From any thread. On its own loop it is lost at once."""
        if asyncio.get_running_loop() is self._loop:
            self.channels.lose(reason)
            return
        with contextlib.suppress(RuntimeError):  # it has closed
            self._loop.call_soon_threadsafe(self.channels.lose, reason)

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        await self.channels.close()
        await self._client.aclose()


class _Listener:
    """Makes events of messages, and sees to it that none is missing."""

    def __init__(self, server: str, backlog: int) -> None:
        self.events = Subscription(backlog)
        self._server = server
        self._number: int | None = None

    def take(self, data: str) -> None:
        message = _Message(data)
        if message.buried == self._server:
            self.lose("this server's lease ran out: it did not renew it in time")
        elif message.event.type != "private":
            if self._number is not None and message.event.number != self._number + 1:
                self.lose(f"event {message.event.number} came after {self._number}")
            self._number = message.event.number
        self.events.put(message.event)

    def lose(self, reason: str) -> None:
        self.events.lose(reason)


class _Message:
    """An event as the script sends it. ``buried`` is the server whose lease ran out."""

    def __init__(self, data: str) -> None:
        number, to, payload, *buried = json.loads(data)
        event = Event(**json.loads(payload))
        self.event = replace(event, number=number, to=to or event.to)
        self.buried = buried[0] if buried else None


def _snapshot(number: str, members: list[str], history: list[str]) -> Snapshot:
    by_arrival = sorted(map(json.loads, members), key=lambda member: member["arrival"])
    return Snapshot(
        int(number),
        tuple(member["name"] for member in by_arrival),
        tuple(_Message(data).event for data in history),
    )
