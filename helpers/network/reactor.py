"""A thread that waits for sockets and timers and calls back: a link's engine.

asyncio could do this. But a link wants to be invisible where it adds nothing,
and asyncio costs about 3 µs more for each chunk than a bare selector does
(`workbook.py bench link`), which is the difference between a relay in Python
and socat.
"""

from __future__ import annotations

import heapq
import itertools
import select
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["READ", "WRITE", "Reactor", "clock"]

clock = time.perf_counter
LONGEST_WAIT = 3600.0  # seconds; a selector does not take infinity

Callback = Callable[[], object]


class Reactor:
    """Runs callbacks on one thread of its own, until :meth:`stop`.

    ``on_error`` gets what a callback raised; the reactor goes on.
    """

    def __init__(self, name: str, on_error: Callable[[BaseException], object]) -> None:
        self._poll = _Poll()
        self._callbacks: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Callback]] = []
        self._ties = itertools.count()  # so that the heap never compares callbacks
        self._calls: deque[Callback] = deque()
        self._wake_up, self._woken = socket.socketpair()
        for sock in (self._wake_up, self._woken):
            sock.setblocking(False)
        self._on_error = on_error
        self._going = True
        self.listen(self._woken, READ, self._run_calls)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # -- from any thread ------------------------------------------------------------

    def call_soon(self, callback: Callback) -> None:
        """Run ``callback()`` on the reactor's thread."""
        self._calls.append(callback)
        try:
            self._wake_up.send(b"!")
        except OSError:  # stopped meanwhile, or so many calls that it wakes anyway
            pass

    def settle(self) -> None:
        """Return when every callback that runs or waits now is done.

        No-op on the reactor's own thread, and once it is stopped.
        """
        if self._thread is threading.current_thread():
            return
        done = threading.Event()
        self.call_soon(done.set)
        while self._thread.is_alive() and not done.wait(0.05):
            pass  # stopped between the two, it never calls

    def stop(self) -> None:
        """End the thread, after the callbacks that are due. Idempotent."""
        self.call_soon(self._end)
        if self._thread is not threading.current_thread():
            self._thread.join()

    # -- from callbacks only --------------------------------------------------------

    def listen(self, sock: socket.socket, events: int, callback: Callback) -> None:
        """Call ``callback()`` while ``sock`` is ready for one of ``events``.

        Replaces what was asked for this socket before; 0 ends it.
        """
        fd = sock.fileno()
        if not events:
            if self._callbacks.pop(fd, None) is not None:
                self._poll.unregister(fd)
        elif fd in self._callbacks:
            self._poll.modify(fd, events)
        else:
            self._poll.register(fd, events)
        if events:
            self._callbacks[fd] = callback

    def call_at(self, when: float, callback: Callback) -> None:
        """Call ``callback()`` once, when :data:`clock` says ``when``."""
        heapq.heappush(self._timers, (when, next(self._ties), callback))

    # -- the thread -----------------------------------------------------------------

    def _run(self) -> None:
        callbacks, poll = self._callbacks, self._poll.poll
        while self._going:
            for fd, _ in self._wait() if self._timers else poll():
                # One that is called may have ended what another waits for.
                if (callback := callbacks.get(fd)) is not None:
                    try:
                        callback()
                    except Exception as error:
                        self._on_error(error)
            while self._timers and self._timers[0][0] <= clock():
                self._call(heapq.heappop(self._timers)[2])
        self._poll.close()
        self._wake_up.close()
        self._woken.close()

    def _wait(self) -> list[tuple[int, int]]:
        """For sockets, but not past the next timer."""
        left = self._timers[0][0] - clock()
        if left >= 0.001:
            # The poll rounds up to milliseconds; we had rather be early.
            return self._poll.poll(min(left - 0.001, LONGEST_WAIT))
        ready = self._poll.poll(0)
        if not ready and left > 0:
            time.sleep(left)
        return ready

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception as error:
            self._on_error(error)

    def _run_calls(self) -> None:
        self._woken.recv(4096)
        while self._calls:
            self._call(self._calls.popleft())

    def _end(self) -> None:
        self._going = False


class _SelectorPoll:
    """The interface of select.epoll, where there is none (macOS, Windows)."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.register = self._selector.register
        self.unregister = self._selector.unregister
        self.modify = self._selector.modify
        self.close = self._selector.close

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        return [(key.fd, mask) for key, mask in self._selector.select(timeout)]


if hasattr(select, "epoll"):
    # What the selectors module makes of it costs a microsecond for each event.
    _Poll = select.epoll
    READ, WRITE = select.EPOLLIN, select.EPOLLOUT
else:
    _Poll = _SelectorPoll
    READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
