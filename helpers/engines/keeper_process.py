"""The process that keeps an engine: it starts it, and ends it with all it forked.

    kernel --Keeper--> this process --> the engine --> whatever the engine forks

It owns the engine's folder, and it outlives the engine's death, so that the engine
can be started again on its data. When its stdin closes (the kernel closed it, or
died, be it by SIGKILL), it ends the whole family and removes the folder.

    stdin    a request a line: {"id": 1, "do": "start", "argv": ["postgres", …]}
    stderr   an answer a line: {"id": 1, "pid": 4711}
    stdout   what the engine and its family print

Started by keeper.py as a script, with the standard library only. Unix only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LINUX = sys.platform == "linux"
# include/uapi/linux/prctl.h, include/uapi/linux/ipc.h
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
IPC_RMID = 0
# SIGKILL takes effect at once, but for a process that waits for a disk.
SWEEP = 5.0


class Family:
    """An engine and all that descends from it."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder = folder
        self.user = user
        self.program: subprocess.Popen | None = None
        self.code: int | None = None  # of the program, once it has ended
        self._libc = ctypes.CDLL(None, use_errno=True)
        if LINUX:
            # What a daemon forks off becomes ours, not init's, and can be found.
            self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(
        self, argv: list[str], env: dict[str, str], quit_by: int, patience: float
    ) -> dict[str, Any]:
        """Start the program, which is later asked to end by the signal ``quit_by``."""
        self.kill()  # what the one before left behind
        self.quit_by, self.patience = quit_by, patience
        self.code = None
        drop = {"user": self.user, "group": _group(self.user), "extra_groups": []}
        self.program = subprocess.Popen(
            argv,
            env=env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=self._end_with_us,
            **(drop if self.user else {}),
        )
        return {"pid": self.program.pid}

    def _end_with_us(self) -> None:
        """Between fork and exec, after the change of user, which would undo it."""
        if LINUX:
            self._libc.prctl(PR_SET_PDEATHSIG, self.quit_by, 0, 0, 0)

    def poll(self) -> dict[str, Any]:
        self._reap()
        return {"code": self.code}

    def mark(self, word: str) -> dict[str, Any]:
        """Print ``word`` behind all that was printed so far."""
        os.write(1, f"\0{word}\n".encode())
        return {}

    def kill(self) -> dict[str, Any]:
        """SIGKILL for everybody, until nobody is left."""
        self._reap()
        own = {self.program.pid} if self.program else set()
        end = time.monotonic() + SWEEP
        while (family := descendants(os.getpid())) and time.monotonic() < end:
            own |= family
            for pid in family:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)
            self._reap()
        if LINUX:
            self._remove_shared_memory(own)
        return {"code": self.code}

    def end(self) -> dict[str, Any]:
        """Ask the program to end; then everybody who is left goes by SIGKILL."""
        self._reap()
        if self.program and self.code is None:
            os.kill(self.program.pid, self.quit_by)
            end = time.monotonic() + self.patience
            while self.code is None and time.monotonic() < end:
                time.sleep(0.002)
                self._reap()
        return self.kill()

    def _reap(self) -> None:
        """Take note of who ended; orphans of the program's are ours too."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if self.program and pid == self.program.pid:
                    self.code = os.waitstatus_to_exitcode(status)
                    self.program.returncode = self.code

    def _remove_shared_memory(self, creators: set[int]) -> None:
        """System V segments outlive who was killed (shmctl(2)): remove the family's.

        Columns of /proc/sysvipc/shm, from the left: key, shmid, perms, size, cpid
        (who made it), lpid, nattch (how many use it).
        """
        with contextlib.suppress(OSError):
            for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
                _, shmid, _, _, creator, _, users = map(int, line.split()[:7])
                if creator in creators and users == 0:
                    self._libc.shmctl(shmid, IPC_RMID, None)


def descendants(ancestor: int) -> set[int]:
    """The process ids of all children of ``ancestor``, and theirs, and so on."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    unseen = [ancestor]
    while unseen:
        new = children.get(unseen.pop(), [])
        found.update(new)
        unseen.extend(new)
    return found


def _parents() -> list[tuple[int, int]]:
    """(process id, parent's id) of all processes."""
    if not LINUX:
        return _parents_by_ps()
    pairs = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                stat = Path(entry.path, "stat").read_text(errors="replace")
                # The name, in parentheses, may hold anything (proc(5)).
                pairs.append((int(entry.name), int(stat.rpartition(")")[2].split()[1])))
    return pairs


def _parents_by_ps() -> list[tuple[int, int]]:
    ps = subprocess.Popen(
        ["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True
    )
    table = ps.communicate()[0].split()
    pairs = zip(map(int, table[::2]), map(int, table[1::2]), strict=True)
    return [(pid, parent) for pid, parent in pairs if pid != ps.pid]


def _group(user: str | None) -> int | None:
    import pwd

    return pwd.getpwnam(user).pw_gid if user else None


def answer(family: Family, line: str) -> dict[str, Any]:
    request = json.loads(line)
    number, do = request.pop("id"), request.pop("do")
    actions = {
        "start": family.start,
        "poll": family.poll,
        "mark": family.mark,
        "kill": family.kill,
        "end": family.end,
    }
    try:
        return {"id": number} | actions[do](**request)
    except OSError as error:
        return {"id": number, "error": str(error)}


def say(words: dict[str, Any]) -> None:
    print(json.dumps(words), file=sys.stderr, flush=True)


def main(where: str, user: str | None) -> None:
    """Serve requests until stdin closes; then leave nothing behind."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())
    folder = Path(tempfile.mkdtemp(prefix="workbook-", dir=where))
    try:
        if user:
            shutil.chown(folder, user, _group(user))
        family = Family(folder, user)
        try:
            say({"id": 0, "folder": str(folder)})
            for line in sys.stdin:
                say(answer(family, line))
        finally:
            family.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] or None)
