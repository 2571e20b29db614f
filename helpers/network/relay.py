"""What every link is: a port, a line to the target, a capture, and a thread."""

from __future__ import annotations

import socket
import threading
from abc import abstractmethod
from collections import deque
from typing import ClassVar, Self

from helpers.network.capture import Capture
from helpers.network.conditions import Setting, duration, rate
from helpers.network.endpoint import Target, address_of, family_of
from helpers.network.reactor import READ, Reactor, clock
from helpers.server import BACKLOG, Startable

__all__ = ["Relay"]

TRANSPORTS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class Relay(Startable):
    """The common part of Link and DatagramLink.

    A subclass says what it does when its socket has something (:meth:`receive`),
    what it begins anew at each start, and what it closes. All of it runs on the
    reactor's thread, but for :meth:`begin_anew`.
    """

    transport: ClassVar[str]

    latency = Setting(0.0, duration)
    jitter = Setting(0.0, duration)
    bandwidth = Setting(None, rate)

    def __init__(
        self,
        target: Target,
        *,
        seed: int,
        name: str | None,
        host: str,
        port: int,
    ) -> None:
        super().__init__(name=name, host=host, port=port)
        if not isinstance(target, Startable):
            address_of(target)  # raises for what it does not know
        self.target = target
        self.family = family_of(target)
        self.seed = seed
        self.capture = Capture(self.transport)
        self.errors: deque[BaseException] = deque(maxlen=20)
        self._lock = threading.RLock()

    @abstractmethod
    def begin_anew(self) -> None:
        """What each start begins with: the same faults from the same seed."""

    @abstractmethod
    def receive(self) -> None:
        """The socket is readable: a connection, or a datagram, has come."""

    @abstractmethod
    def close(self) -> None:
        """Close all but the socket."""

    def settings_changed(self) -> None:
        """Called after each change of a setting."""

    def settle(self) -> None:
        """Return when all that crossed until now is in the capture."""
        self.reactor.settle()

    def start(self) -> Self:
        """Listen. Idempotent. A new start meets the same faults again."""
        with self._lock:
            if self.running:
                return self
            self.socket = self._listen()
            self.started_at = clock()
            self.begin_anew()
            self.settings_changed()
            self.errors.clear()
            self.capture.clear()
            self.reactor = Reactor(f"link {self.name}", self.errors.append)
            self.capture.settle = self.settle
            self.reactor.call_soon(
                lambda: self.reactor.listen(self.socket, READ, self.receive)
            )
            self._remember(self.socket.getsockname()[1])
        return self

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, TRANSPORTS[self.transport])
        try:
            if self.transport == "tcp":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self._wanted_port))
            if self.transport == "tcp":
                listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        return listener

    def stop(self) -> None:
        """Close the port; what is under way is lost. Idempotent."""
        with self._lock:
            if not self.running:
                return
            self._forget()
            self.reactor.call_soon(self._close)
            self.reactor.stop()

    def _close(self) -> None:
        self.close()
        self.reactor.listen(self.socket, 0, self.receive)
        self.socket.close()
