"""Engine: the real thing, started privately, and gone without a trace.

    with Postgres() as postgres:
        ...

An engine listens on loopback, on a free port, in a temporary folder. It ends with
its cell and with the kernel, and so does all that it forked (see keeper.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
import time
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from helpers.engines.errors import EngineError, EngineFailed, EngineMissing, describe
from helpers.engines.keeper import Keeper
from helpers.engines.other_user import copy_package, ordinary_user, reachable
from helpers.engines.ports import free_port, is_free, is_loopback, listening
from helpers.engines.sources import Source
from helpers.server import Startable

__all__ = ["Engine", "EngineError", "EngineFailed", "EngineMissing"]

POLL = 0.01  # seconds between two looks whether it answers
ATTEMPTS = 5  # at a free port that somebody else may be quicker to take


class Engine(Startable):
    """A server that is not ours, as a child process with a folder of its own.

    A subclass names its ``source`` and writes :meth:`command`; it may write
    :meth:`prepare`, :meth:`environment` and :meth:`ready` too.

    After :meth:`kill` it can be started again, at the same port and on its data.
    After :meth:`stop` its data is gone.
    """

    source: ClassVar[Source]
    refuses_root: ClassVar[bool] = False
    picks_port: ClassVar[bool] = False  # whether it tells the port, or is told
    quit_by: ClassVar[int] = signal.SIGTERM  # how it wants to be asked to end
    grace: ClassVar[float] = 1.0  # seconds that it then has
    patience: float = 30.0  # seconds until it must answer, on a busy machine too

    def __init__(self, *, name: str | None = None, port: int = 0) -> None:
        super().__init__(name=name, port=port)
        self.borrowed = False  # one that ran already, and is not ours to end
        self._keeper: Keeper | None = None
        self._pid: int | None = None
        self._log: list[str] = []
        self._lock = threading.RLock()
        self._giving_up = threading.Event()

    # -- is it here? -------------------------------------------------------------

    @classmethod
    def why_not(cls) -> str | None:
        """None where it can start; else one line that says how to get it."""
        if cls.source.address():
            return None
        if sys.platform == "win32":
            return "engines are started on Linux and macOS only: on Windows, use WSL"
        if cls.find() is None:
            return f"{cls.source.name} is not on this machine. {cls.source.cure}"
        return None

    @classmethod
    def available(cls) -> bool:
        """Whether it can start here."""
        return cls.why_not() is None

    @classmethod
    def find(cls) -> Path | None:
        """Its program, the package's before the system's."""
        return next(cls.source.programs(), None)

    # -- what a subclass writes ----------------------------------------------------

    @abstractmethod
    def command(self, program: Path, port: int) -> list[str]:
        """The command that serves on ``self.host`` and ``port``."""

    def environment(self) -> dict[str, str]:
        """Its environment: little, so that it runs the same everywhere."""
        folder = str(self.folder)
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "HOME": folder, "TMPDIR": folder, "LC_ALL": "C"}

    def prepare(self, program: Path) -> None:
        """Fill ``self.folder``, once, before the first start; see :meth:`run`."""

    def ready(self, port: int) -> int | None:
        """Its port once it answers, else None; or raise OSError: not yet."""
        with socket.create_connection((self.host, port), timeout=1):
            return port

    def borrow(self, address: str) -> int:
        """The port of the one at ``address``; raises EngineFailed when it is silent."""
        raise NotImplementedError

    # -- its life ------------------------------------------------------------------

    def start(self) -> Self:
        """Start it; returns once it answers.

        Raises EngineMissing where it can not be had, and EngineFailed with the end
        of its log when it does not answer within ``patience`` seconds.
        """
        with self._lock:
            if self.running:
                return self
            self._giving_up.clear()
            try:
                self._remember(self._start())
            except BaseException:  # a kernel interrupt too
                self.stop()
                raise
        return self

    def stop(self) -> None:
        """End it in good order, by force if need be; its data goes. Idempotent."""
        with self._lock:
            self._forget()
            if self._keeper is not None:
                keeper, self._keeper = self._keeper, None
                keeper.close()
                self._log = list(keeper.log)

    def kill(self) -> None:
        """SIGKILL it and all that it forked: no good-bye, no flush. Its data stays."""
        with self._lock:
            if self._keeper is None:
                raise RuntimeError(
                    f"{self.name} has no process of ours: nothing to kill"
                )
            # It is still registered, so that its folder goes with its cell.
            self._port = None
            self._keeper.kill()

    def _start(self) -> int:
        if (missing := self.why_not()) is not None:
            raise EngineMissing(missing)
        self.borrowed = self.source.address() is not None
        if self.borrowed:
            return self.borrow(self.source.address())
        program = self.find()
        if self._keeper is None:
            self._keeper = Keeper(user=ordinary_user() if self.refuses_root else None)
            self.prepare(self._runnable(program))
        return self._serve(self._runnable(program))

    def _serve(self, program: Path) -> int:
        for _ in range(ATTEMPTS):
            port = self._wanted_port or self._choose_port()
            self._spawn(self.command(program, port))
            answered = self._wait(port)
            if answered is not None:
                return answered
            # It ended. Was somebody quicker to take the port?
            if is_free(self.host, port):
                raise self.failed("ended before it answered")
            if self._wanted_port:
                raise self.failed(f"can not have port {port}: somebody else has it")
        raise self.failed(f"found no free port in {ATTEMPTS} attempts")

    def _choose_port(self) -> int:
        return 0 if self.picks_port else free_port(self.host)

    def _wait(self, port: int) -> int | None:
        """Until it answers: its port. None when it ended."""
        end = time.monotonic() + self.patience
        while True:
            answered = self._ask_whether_ready(port)
            if answered is not None:
                return answered
            if self._keeper.poll() is not None:
                return None
            self._pause(end)

    def _ask_whether_ready(self, port: int) -> int | None:
        try:
            answered = self.ready(port)
        except OSError:
            return None
        return answered if answered is not None and self._owns(answered) else None

    def _owns(self, port: int) -> bool:
        """Whether it is ours that answers there: somebody may have been quicker."""
        listeners = listening(self._pid)
        if listeners is None:
            return True
        for address, _ in listeners:
            if not is_loopback(address):
                raise self.failed(
                    f"listens on {address}, where other machines get in: let it "
                    f"listen on {self.host} only"
                )
        return port in {port for _, port in listeners}

    def _pause(self, end: float) -> None:
        if self._giving_up.wait(POLL):
            raise self.failed("was given up")
        if time.monotonic() > end:
            raise self.failed(f"did not get ready within {self.patience:g} s")

    def run(self, argv: list[str]) -> None:
        """Run a program of the engine's to its end, as the engine's user.

        Raises EngineFailed with its output when it fails.
        """
        self._spawn(argv)
        end = time.monotonic() + self.patience
        while (code := self._keeper.poll()) is None:
            self._pause(end)
        if code != 0:
            raise self.failed(f"could not be prepared: {Path(argv[0]).name} failed")

    def _spawn(self, argv: list[str]) -> None:
        try:
            self._pid = self._keeper.start(
                argv,
                env=self.environment(),
                quit_by=self.quit_by,
                patience=self.grace,
            )
        except OSError as error:
            raise self.failed(f"could not be started: {error}") from None

    def _give_up_starting(self) -> None:
        self._giving_up.set()

    def _runnable(self, program: Path) -> Path:
        """The program, or a copy, where the other user can not get to it."""
        if self._keeper.user is None or reachable(program):
            return program
        try:
            return copy_package(self.source, program, self.folder / "copy")
        except OSError as error:
            raise self.failed(
                f"may not run as root, and {error}: put the workbook into a folder "
                "that all users can read"
            ) from None

    def give(self, path: Path) -> None:
        """Let the engine own ``path``, where it runs as another user."""
        if self._keeper.user is not None:
            shutil.chown(path, self._keeper.user)

    # -- what is to be seen ----------------------------------------------------------

    @property
    def running(self) -> bool:
        if self._port is None or self.borrowed:
            return self._port is not None
        keeper = self._keeper  # read once: stop() may run meanwhile
        return keeper is not None and keeper.poll() is None

    @property
    def requests(self) -> int:
        """Engines do not tell."""
        return 0

    @property
    def pid(self) -> int:
        """Its process id. Raises RuntimeError when it does not run."""
        if not self.running or self._pid is None:
            raise RuntimeError(f"{self.name} has no process: start it, or use `with`")
        return self._pid

    @property
    def folder(self) -> Path:
        """Where it works. Raises RuntimeError when it was not started."""
        if self._keeper is None:
            raise RuntimeError(f"{self.name} has no folder: start it, or use `with`")
        return self._keeper.folder

    @property
    def log(self) -> list[str]:
        """The last lines that it printed, since its last start."""
        return list(self._keeper.log) if self._keeper is not None else self._log

    def failed(self, how: str) -> EngineFailed:
        """The error to raise: what happened, and the end of the log."""
        if self._keeper is not None:
            self._keeper.catch_up()
        return EngineFailed(describe(self.name, how, self.log))

    def _card(self) -> dict[str, str]:
        card = {"engine": self.name, "address": "stopped"}
        if self.running:
            card["address"] = f"{self.host}:{self.port}"
        elif self._port is not None:
            card["address"] = "it died"
            card["log"] = self.log[-1] if self.log else "empty"
        return card
