"""EpollServer: WebSockets that cost a byte each, here; all the rest is in the kernel.

For each connection the kernel has a number, the file descriptor, and epoll(7) tells
which numbers have something to read. A number needs no object: one byte says how far
it is, at that place of a long row of bytes. Only who is half-way through something has
a Conversation, for as long as that takes. Linux only.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Iterator
from typing import Any

from helpers.servers.lean_base import GOING_AWAY, LeanWebSockets
from helpers.servers.lean_protocol import Conversation

__all__ = ["EpollServer"]

# How far a descriptor is: one byte of the row.
CLOSED, OPENING, OPEN = range(3)
READ = 16 * 1024
# Between two turns of the loop, so that its other work (stop, broadcast) gets its turn.
ACCEPTED = 256
EVENTS = 1024
ACCEPT_AGAIN = 1.0  # seconds, when there was no descriptor left
MISSING = "EpollServer needs epoll, which is Linux only: use LeanServer"


class EpollServer(LeanWebSockets):
    """A WebSocket server without an object for a connection. See LeanWebSockets.

    The kernel's buffer (64 kB) is all that may wait for a client: who leaves more
    unread is cut off. Raises RuntimeError at its start where there is no epoll.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._states = bytearray()
        self._count = 0
        self._conversations: dict[int, Conversation] = {}
        self._listener: socket.socket | None = None
        self._epoll: Any = None  # select.epoll is no name outside Linux

    @property
    def connections(self) -> int:
        return self._count

    def send_to_all(self, data: bytes) -> int:
        talks = self._conversations
        # Those who have said their last word get no more.
        ready = [fd for fd in self._all(OPEN) if fd not in talks or not talks[fd].over]
        return sum(self._send(fd, data) for fd in ready)

    def unfinished(self) -> Iterator[tuple[int, Conversation]]:
        return iter(self._conversations.items())

    def cut_off(self, connection: int) -> None:
        self._close(connection)

    # -- life ----------------------------------------------------------------------

    async def open(self, host: str, port: int) -> int:
        if not hasattr(select, "epoll"):
            raise RuntimeError(MISSING)
        self._listener = self.listen(host, port)
        self._epoll = select.epoll()
        self._begin_accepting()
        # An epoll is itself a descriptor that becomes readable: the server's loop
        # watches this one, and this one watches all the connections.
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._turn)
        self.start_sweeping()
        return self._listener.getsockname()[1]

    async def close(self) -> None:
        """1001 (going away) to all; nobody's answer is waited for."""
        await self.stop_sweeping()
        if self._listener is not None:
            self._listener.close()
        if self._epoll is None:
            return
        self.send_to_all(GOING_AWAY)
        for fd in [*self._all(OPENING), *self._all(OPEN)]:
            self._close(fd)
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._epoll = None

    # -- events --------------------------------------------------------------------

    def _turn(self) -> None:
        listener = self._listener.fileno()
        for fd, _ in self._epoll.poll(0, EVENTS):
            if fd == listener:
                self._accept()
            else:
                self._read(fd)

    def _accept(self) -> None:
        for _ in range(ACCEPTED):
            try:
                client, _ = self._listener.accept()
            except (BlockingIOError, ConnectionError):  # nobody is left, or is gone
                return
            except OSError as error:  # no descriptor is left: see `ulimit -n`
                self.keep_error(error)
                self._pause_accepting()
                return
            client.setblocking(False)
            self._admit(client.detach())  # from here on it is a number

    def _begin_accepting(self) -> None:
        if self._epoll is not None:
            self._epoll.register(self._listener, select.EPOLLIN)

    def _pause_accepting(self) -> None:
        """The listener would be ready again at once, and nothing else get its turn."""
        self._epoll.unregister(self._listener)
        asyncio.get_running_loop().call_later(ACCEPT_AGAIN, self._begin_accepting)

    def _admit(self, fd: int) -> None:
        self._count += 1
        if (talk := self.welcome()) is None:
            self._count -= 1
            os.close(fd)
            return
        if fd >= len(self._states):
            self._states.extend(bytes(fd + 1024 - len(self._states)))
        self._states[fd] = OPENING
        self._conversations[fd] = talk
        self._epoll.register(fd, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        if self._states[fd] == CLOSED:  # by a client before it in the same turn
            return
        try:
            data = os.read(fd, READ)
        except BlockingIOError:  # the number was given to another one meanwhile
            return
        except OSError:  # the client's kernel reset it
            data = b""
        if data:
            self._converse(fd, data)
        else:
            self._close(fd)

    def _converse(self, fd: int, data: bytes) -> None:
        talk = self._conversations.pop(fd, None) or Conversation(opened=True)
        reply = talk.receive(data)
        if talk.opened and self._states[fd] == OPENING:
            self._states[fd] = OPEN
            self._requests += 1
        if talk.unfinished:
            self._conversations[fd] = talk
        if reply and self._send(fd, reply) and talk.over:
            # Not closed yet: that would reset the connection when the client has sent
            # more, and our last word might be lost. The client closes, or the sweep.
            self._end_writing(fd)

    def _send(self, fd: int, data: bytes) -> bool:
        """Write all of it, or cut it off: the kernel's buffer is the bound."""
        try:
            taken = os.write(fd, data) == len(data)
        except OSError:  # full, or gone
            taken = False
        if not taken:
            self._close(fd)
        return taken

    def _end_writing(self, fd: int) -> None:
        borrowed = socket.socket(fileno=fd)
        try:
            borrowed.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        finally:
            borrowed.detach()

    def _close(self, fd: int) -> None:
        """epoll forgets a descriptor by itself when it is closed."""
        if self._states[fd] != CLOSED:
            self._states[fd] = CLOSED
            self._conversations.pop(fd, None)
            self._count -= 1
            os.close(fd)

    def _all(self, state: int) -> list[int]:
        return [fd for fd, each in enumerate(self._states) if each == state]
