"""Child processes that end when their parent ends, even by SIGKILL.

Run as a script this file is the launcher that stands between the two:

    parent --spawn()--> launcher --becomes, or watches--> the program

On Linux the launcher asks the kernel for a parent-death signal (prctl(2),
PR_SET_PDEATHSIG) and then becomes the program. Elsewhere it stays, holds one
end of a pipe whose other end only the parent has, and kills the program when
that pipe closes.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future

__all__ = ["end", "spawn"]

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h

_lock = threading.Lock()
_jobs: queue.SimpleQueue = queue.SimpleQueue()
_thread: threading.Thread | None = None


def spawn(
    argv: list[str], *, ends_with_stdin: bool = False, **popen: object
) -> subprocess.Popen:
    """Start ``argv`` in a session of its own, bound to the life of this process.

    A session of its own, because a kernel interrupt is sent to the whole group
    of the kernel and must not end its servers. ``ends_with_stdin`` says that the
    program itself ends when its stdin closes, so that it needs no watcher outside
    Linux. ``popen`` goes to :class:`subprocess.Popen`.

    Raises FileNotFoundError when the program does not exist.
    """
    if shutil.which(argv[0]) is None:
        raise FileNotFoundError(f"no program {argv[0]!r} on this machine")
    if LINUX:
        launcher = [sys.executable, "-I", "-S", __file__, str(os.getpid())]
        return _start_from_lasting_thread(launcher + argv, **popen)
    if ends_with_stdin:
        return subprocess.Popen(argv, start_new_session=True, **popen)
    # The launcher's stdin is the pipe that it watches.
    launcher = [sys.executable, "-I", "-S", __file__, "watch"]
    popen["stdin"] = subprocess.PIPE
    return subprocess.Popen(launcher + argv, start_new_session=True, **popen)


def end(process: subprocess.Popen, *, patience: float = 3.0) -> int:
    """Ask the process's whole group to end, then make it. Returns the exit code.

    ``patience`` is in seconds. Idempotent.
    """
    for sig in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        _signal_group(process, sig)
        try:
            return process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue
    raise RuntimeError(f"process {process.pid} does not end, even by SIGKILL")


def _signal_group(process: subprocess.Popen, sig: int) -> None:
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, sig)
    except ProcessLookupError:
        pass
    except (AttributeError, PermissionError):  # Windows has no groups
        process.send_signal(sig)


def _start_from_lasting_thread(argv: list[str], **popen: object) -> subprocess.Popen:
    """Fork on one thread that lives as long as this process.

    The parent-death signal fires when the *thread* that forked ends (prctl(2),
    NOTES), and a cell may well start a server from a short-lived thread. A daemon
    thread, for an executor's would end before our atexit handlers run.
    """
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():  # dead after os.fork()
            _thread = threading.Thread(
                target=_start_jobs, name="child-spawner", daemon=True
            )
            _thread.start()
    started: Future[subprocess.Popen] = Future()
    _jobs.put((started, argv, popen))
    try:
        return started.result()
    except KeyboardInterrupt:  # it may start all the same, and nobody would hold it
        started.add_done_callback(_kill_orphan)
        raise


def _kill_orphan(started: Future[subprocess.Popen]) -> None:
    if started.exception() is None:
        started.result().kill()
        started.result().wait()


def _start_jobs() -> None:
    while True:
        started, argv, popen = _jobs.get()
        try:
            started.set_result(subprocess.Popen(argv, start_new_session=True, **popen))
        except BaseException as error:  # the caller raises it
            started.set_exception(error)


def _become(parent: int, argv: list[str]) -> None:
    """Launcher on Linux: ask for the parent-death signal, then become argv."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before we could ask
        sys.exit(1)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.exit(f"cannot start {argv[0]}: {error.strerror}")


def _watch(argv: list[str]) -> None:
    """Launcher elsewhere: run argv, and end it when our stdin closes."""
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def end_with_parent() -> None:
        while os.read(0, 4096):
            pass
        program.kill()

    threading.Thread(target=end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    sys.exit(program.wait())


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        _watch(sys.argv[2:])
    else:
        _become(int(sys.argv[1]), sys.argv[2:])
