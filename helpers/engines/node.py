"""Node.js: runs a script to its end, or one that serves.

    Node.run("workflow.js")                     # -> what it printed

    with Node("server.js") as server:
        httpx.get(server.url)

A script that serves prints its port, alone on a line, once it listens:

    server.listen(process.env.PORT ?? 0, "127.0.0.1", () =>
      console.log(server.address().port))

Without "127.0.0.1" Node.js would listen for other machines too, and is refused. PORT
is there when it is started again, so that it comes back at the same address.
"""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import BinaryIO

from helpers import child
from helpers.engines.engine import Engine, EngineFailed, EngineMissing
from helpers.engines.errors import describe
from helpers.engines.sources import SOURCES

__all__ = ["Node"]

OLDEST = 20  # the oldest that these scripts were run with
MOST_OUTPUT = 10_000_000  # bytes that a script may print
KEPT_BYTES = 64 * 1024  # of its stderr


class Node(Engine):
    """A Node.js process that runs ``script`` with ``args``, and serves.

    ``log`` has the last lines that it printed. Start fails with EngineFailed when
    it prints no port, or listens on more than loopback.

    Raises FileNotFoundError when there is no such script.
    """

    source = SOURCES["node"]
    picks_port = True

    def __init__(
        self, script: str | Path, *args: object, name: str | None = None, port: int = 0
    ) -> None:
        self._script = _existing(script)
        super().__init__(name=name or f"node {self._script.name}", port=port)
        self._args = [str(arg) for arg in args]

    @classmethod
    def find(cls) -> Path | None:
        """The first that is new enough."""
        return next(filter(_is_new_enough, cls.source.programs()), None)

    @classmethod
    def run(cls, script: str | Path, *args: object, timeout: float = 30.0) -> str:
        """Run ``script`` to its end; returns what it printed to stdout.

        Raises EngineFailed, with the end of its stderr, when it fails, does not end
        within ``timeout`` seconds, or prints more than 10 MB; FileNotFoundError when
        there is no such script; EngineMissing without Node.js.
        """
        script = _existing(script)
        if (missing := cls.why_not()) is not None:
            raise EngineMissing(missing)
        argv = [str(cls.find()), str(script), *map(str, args)]
        process = child.spawn(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(),
        )
        stdout, stderr, how = _run_to_end(process, timeout)
        if how:
            raise EngineFailed(describe(script.name, how, stderr.splitlines()))
        return stdout

    def command(self, program: Path, port: int) -> list[str]:
        return [str(program), str(self._script), *self._args]

    def environment(self) -> dict[str, str]:
        wanted = {"PORT": str(self._wanted_port)} if self._wanted_port else {}
        return clean_environment() | wanted

    def ready(self, port: int) -> int | None:
        """The port that it printed."""
        told = next(filter(re.compile(r"\d{1,5}").fullmatch, self.log), None)
        return told and int(told)


def clean_environment() -> dict[str, str]:
    """Ours, without what would change what Node.js does (NODE_OPTIONS and so on)."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NODE_") and name not in ("FORCE_COLOR", "PORT")
    }
    return kept | {"NO_COLOR": "1"}


def _existing(script: str | Path) -> Path:
    path = Path(script).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no script {str(script)!r}")
    return path


@cache
def _is_new_enough(program: Path) -> bool:
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.match(r"v(\d+)\.", told)
    return version is not None and int(version[1]) >= OLDEST


def _run_to_end(process: subprocess.Popen, timeout: float) -> tuple[str, str, str]:
    """What it wrote to stdout and to stderr, and what went wrong, if anything."""
    with process.stdout, process.stderr, ThreadPoolExecutor(2) as readers:
        stdout = readers.submit(process.stdout.read, MOST_OUTPUT + 1)
        stderr = readers.submit(_read_end, process.stderr)
        how = ""
        try:
            if len(stdout.result(timeout)) > MOST_OUTPUT:
                how = f"printed more than {MOST_OUTPUT // 10**6} MB"
            elif (code := process.wait(timeout)) != 0:
                how = f"failed with exit code {code}"
        except (TimeoutError, subprocess.TimeoutExpired):
            how = f"did not end within {timeout:g} s"
        finally:
            child.end(process)  # and so the readers end
        return stdout.result().decode(errors="replace"), stderr.result(), how


def _read_end(stream: BinaryIO) -> str:
    """Read to the end, and keep the end."""
    end = b""
    while block := stream.read1():
        end = (end + block)[-KEPT_BYTES:]
    return end.decode(errors="replace")
