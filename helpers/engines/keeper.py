"""Keeper: the kernel's side of the process that keeps an engine.

What it keeps dies with the kernel, also by SIGKILL, whatever it forked; and the
folder that it worked in goes with it (see keeper_process.py).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import Any

from helpers.engines.other_user import open_to_all

__all__ = ["Keeper"]

SCRIPT = Path(__file__).with_name("keeper_process.py")
KEPT_LINES = 500
LONGEST_LINE = 4096  # bytes; the rest counts as the next line


class Keeper:
    """Runs one program at a time, in a folder of its own.

    ``user`` is whom the programs run as, where that is not us (root only). ``log``
    holds the last lines that the last one printed, ``folder`` is theirs.

    Raises OSError when it can not be started.
    """

    def __init__(self, *, user: str | None = None) -> None:
        self.log: deque[str] = deque(maxlen=KEPT_LINES)
        self.user = user
        self._number = 0
        self._lock = threading.RLock()
        self._seen = threading.Condition()
        self._last_mark = ""
        where = open_to_all() if user else tempfile.gettempdir()
        # A session of its own: a kernel interrupt goes to the kernel's group.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), where, user or ""],
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(
            target=self._read_log, name="engine log", daemon=True
        )
        self._reader.start()
        try:
            self.folder = Path(self._read_answer(0)["folder"])
        except BaseException:  # a kernel interrupt, or no space on the disk
            self._hang_up()
            raise

    def start(
        self,
        argv: list[str],
        *,
        env: dict[str, str],
        quit_by: int,
        patience: float,
    ) -> int:
        """Start a program, after the end of the one before; returns its process id.

        When the keeper ends it, it gets the signal ``quit_by``, and SIGKILL after
        ``patience`` seconds. Raises OSError when it can not be started.
        """
        self.catch_up()
        self.log.clear()
        request = {"argv": argv, "env": env, "quit_by": quit_by, "patience": patience}
        return self._ask("start", **request)["pid"]

    def poll(self) -> int | None:
        """The program's exit code (minus the signal that ended it); None: it runs."""
        try:
            return self._ask("poll")["code"]
        except (OSError, ValueError):  # the keeper was killed, and its family with it
            return -9

    def kill(self) -> None:
        """SIGKILL the program and all that it forked; its folder stays."""
        self._ask("kill")

    def end(self) -> None:
        """End the program as it wants to be ended; its folder stays."""
        self._ask("end")

    def close(self) -> None:
        """End the program, and remove its folder. Idempotent."""
        with self._lock:
            self._hang_up()
            self._process.wait()  # bounded: it makes the program end
            self._reader.join(timeout=1)  # a daemon may hold the pipe on macOS
            if not self._reader.is_alive():
                self._process.stdout.close()
            self._process.stderr.close()
            shutil.rmtree(self.folder, ignore_errors=True)  # where it was killed

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def catch_up(self, patience: float = 1.0) -> None:
        """Wait until ``log`` has all that was printed up to now."""
        with self._lock, self._seen:
            word = f"mark {self._number}"
            with contextlib.suppress(OSError, ValueError):
                self._ask("mark", word=word)
                self._seen.wait_for(lambda: self._last_mark == word, patience)

    def _ask(self, do: str, **request: Any) -> dict[str, Any]:
        with self._lock:
            self._number += 1
            line = json.dumps({"id": self._number, "do": do} | request)
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
            return self._read_answer(self._number)

    def _read_answer(self, number: int) -> dict[str, Any]:
        """An interrupt may have left the answer to an earlier question unread."""
        while line := self._process.stderr.readline():
            answer = json.loads(line)
            if answer["id"] == number:
                if "error" in answer:
                    raise OSError(answer["error"])
                return answer
        raise OSError("the process that keeps the engine has ended")

    def _read_log(self) -> None:
        while line := self._process.stdout.readline(LONGEST_LINE):
            text, marked, word = line.decode(errors="replace").rstrip().partition("\0")
            if text or not marked:
                self.log.append(text)
            if marked:
                with self._seen:
                    self._last_mark = word
                    self._seen.notify_all()
