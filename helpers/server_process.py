"""A Server as a child process: for lessons about death, and for benchmarks.

The parent sends the class and its arguments (by cloudpickle, so that a class
written in a notebook cell works too) on the child's stdin and then one line
for each question; the child answers each by one line of JSON on stdout.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import cloudpickle

from helpers import child
from helpers.server import Server, Startable

__all__ = ["ServerProcess"]


class ServerProcess(Startable):
    """``SomeServer.in_process(...)``: the same server with a process of its own.

    It ends with its parent, also when that is killed. After :meth:`kill` or
    :meth:`stop` it can be started again, at the same address and with nothing in
    memory that it had before.
    """

    def __init__(self, server: type[Server], *args: Any, **kwargs: Any) -> None:
        super().__init__(
            name=kwargs.get("name") or server.__name__,
            host=kwargs.get("host", "127.0.0.1"),
            port=kwargs.pop("port", 0),
        )
        self._recipe = (server, args, kwargs)
        self._process: subprocess.Popen | None = None
        self._lock = threading.RLock()
        self._requests = 0

    @property
    def pid(self) -> int:
        """The child's process id. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError(f"{self.name} has no process: start it, or use `with`")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def requests(self) -> int:
        with self._lock:
            if self.running:
                # It may die between the two lines.
                with contextlib.suppress(OSError, ValueError):
                    self._requests = self._ask("requests")["requests"]
            return self._requests

    def start(self) -> Self:
        """Start the child; returns once it serves.

        Raises RuntimeError with the child's own words when it can not.
        """
        with self._lock:
            if self.running:
                return self
            self._reap()
            try:
                answer = self._start_child()
            except BaseException:  # a kernel interrupt, or what can not be pickled
                self._reap()
                raise
            if "error" in answer:
                self._reap()
                raise RuntimeError(f"{self.name} did not start: {answer['error']}")
            self._requests = 0
            self._remember(answer["port"])
        return self

    def stop(self, *, patience: float = 3.0) -> None:
        """End the child in good order; by force after ``patience`` seconds. Idempotent.

        The requests under way are not waited for.
        """
        with self._lock:
            if self.running:
                self._requests = self.requests
                self._hang_up()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience)
            self._forget()
            self._reap()

    def kill(self) -> None:
        """SIGKILL: no good-bye, no flush, no answer to requests under way."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
            self._forget()
            self._reap()

    def _give_up_starting(self) -> None:
        if (process := self._process) is not None:
            process.kill()

    def _start_child(self) -> dict[str, Any]:
        server, args, kwargs = self._recipe
        kwargs = kwargs | {"port": self._wanted_port}
        recipe = cloudpickle.dumps((server, args, kwargs))
        self._process = child.spawn(
            [sys.executable, "-m", "helpers.server_process"],
            ends_with_stdin=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": _import_path()},
        )
        try:
            return self._ask(base64.b64encode(recipe).decode())
        except (OSError, ValueError):
            return {"error": "its process ended before it served"}

    def _ask(self, line: str) -> dict[str, Any]:
        with self._lock:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def _hang_up(self) -> None:
        """Close the child's stdin, which tells it to stop."""
        with contextlib.suppress(OSError):  # it is dead, with a line unread
            self._process.stdin.close()

    def _reap(self) -> None:
        if self._process is None:
            return
        self._hang_up()
        child.end(self._process)
        self._process.stdout.close()
        self._process = None


def _import_path() -> str:
    """The child must find what the parent can import, the notebook's folder too."""
    root = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join([root, *(p for p in sys.path if p and p != root)])


def main() -> None:
    """The child's side of the conversation."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a handler's print must not garble the answers
    try:
        cls, args, kwargs = cloudpickle.loads(base64.b64decode(sys.stdin.readline()))
        server = cls(*args, **kwargs).start()
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers)
        return
    print(json.dumps({"port": server.port}), file=answers)
    for _ in sys.stdin:
        print(json.dumps({"requests": server.requests}), file=answers)
    server.stop()


if __name__ == "__main__":
    main()
