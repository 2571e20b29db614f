"""helpers/engines/engine.py, with a small program in the place of an engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from helpers import server
from helpers.engines import engine as engine_module
from helpers.engines.engine import Engine, EngineFailed, EngineMissing, free_port
from helpers.engines.sources import Source

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix only")

# Counts its starts in its folder, and tells them to whoever connects.
COUNTS = """
import os, pathlib, socket, sys
starts = pathlib.Path("starts")
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(starts.read_bytes())
    client.close()
"""


class Counts(Engine):
    source = Source("counts", day=2, program=sys.executable)
    code = COUNTS

    def command(self, program: Path, port: int) -> list[str]:
        return [str(program), "-S", "-c", self.code, str(port)]


class Fails(Counts):
    code = "print('no more beads'); raise SystemExit(3)"


class Silent(Counts):
    code = "print('thinking', flush=True); import time; time.sleep(600)"


class Absent(Counts):
    source = Source("abacus", day=2, program="no-such-abacus", get="buy an abacus")


def ask(engine: Engine) -> str:
    with socket.create_connection((engine.host, engine.port), timeout=30) as client:
        return client.makefile().read()


@pytest.fixture(autouse=True)
def no_process_left_behind() -> Iterator[None]:
    """Neither the engine nor its keeper."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.fixture
def counts() -> Iterator[Counts]:
    with Counts() as engine:
        yield engine


def test_it_answers_as_soon_as_it_is_started(counts):
    """And is one of those that run in this kernel."""
    assert ask(counts) == "x"
    assert counts in server.running()
    assert counts.url == f"http://127.0.0.1:{counts.port}"


def test_stop_leaves_nothing(counts):
    """No process, no folder; the log is still there. Idempotent."""
    pid, folder = counts.pid, counts.folder
    counts.stop()
    counts.stop()
    assert not psutil.pid_exists(pid)
    assert not folder.exists()
    assert not counts.running and counts not in server.running()
    assert "listening" in counts.log


def test_start_is_idempotent(counts):
    """One engine, not two."""
    pid = counts.pid
    assert counts.start() is counts
    assert counts.pid == pid


def test_async_with():
    """The loop goes on while it starts."""

    async def main() -> str:
        async with Counts() as engine:
            return await asyncio.to_thread(ask, engine)

    assert asyncio.run(main()) == "x"


def test_a_killed_engine_comes_back_at_its_address_and_on_its_data(counts):
    """As after a power cut; a stopped one begins anew."""
    port, pid = counts.port, counts.pid
    counts.kill()
    assert not psutil.pid_exists(pid) and not counts.running
    counts.start()
    assert (counts.port, ask(counts)) == (port, "xx")
    counts.stop()
    counts.start()
    assert ask(counts) == "x"


def test_kill_needs_a_process():
    """The error says so."""
    with pytest.raises(RuntimeError, match="Counts has no process"):
        Counts().kill()


@pytest.mark.parametrize("killed", [False, True])
def test_its_cell_run_again_stops_it(counts, killed):
    """Its folder goes too, also when it was killed and not started again."""
    folder = counts.folder
    counts._cell = "cell 1"
    if killed:
        counts.kill()
    server._stop_servers_of("cell 1")
    assert not counts.running and not folder.exists()


def test_one_that_died_says_so_and_can_be_started_again(counts, wait_until):
    """Its card shows it, with its last words."""
    os.kill(counts.pid, signal.SIGKILL)
    wait_until(lambda: not counts.running)
    assert "it died" in counts._repr_html_() and "listening" in counts._repr_html_()
    assert counts.start().running
    assert ask(counts) == "xx"


def test_card_shows_name_and_address(counts):
    """And where it is not running, that it is stopped."""
    assert repr(counts) == f"<engine Counts, address 127.0.0.1:{counts.port}>"
    counts.stop()
    assert repr(counts) == "<engine Counts, address stopped>"


def test_a_missing_engine_says_in_one_line_how_to_get_it():
    """Asked, and started."""
    assert Absent.why_not() == "abacus is not on this machine. buy an abacus"
    assert not Absent.available()
    with pytest.raises(EngineMissing, match="buy an abacus"):
        Absent().start()


def test_one_that_is_here_has_no_excuse():
    """None, so that it reads well in an if."""
    assert Counts.why_not() is None and Counts.available()


def test_a_start_that_fails_shows_the_log():
    """What happened, and the engine's own last words; nothing is left."""
    engine = Fails()
    with pytest.raises(EngineFailed, match=r"(?s)Fails ended.*no more beads"):
        engine.start()
    assert not engine.running and engine not in server.running()


def test_one_that_never_answers_is_given_up(monkeypatch):
    """After its patience, with its log."""
    monkeypatch.setattr(Silent, "patience", 0.5)
    with pytest.raises(EngineFailed, match=r"not get ready within 0\.5 s"):
        Silent().start()


def test_a_preparation_that_fails_shows_its_output(monkeypatch):
    """Before anything serves."""

    def prepare(engine: Counts, program: Path) -> None:
        engine.run([str(program), "-S", "-c", "raise SystemExit('no wood')"])

    monkeypatch.setattr(Counts, "prepare", prepare)
    with pytest.raises(EngineFailed, match=r"(?s)could not be prepared.*no wood"):
        Counts().start()


def test_an_interrupted_start_leaves_nothing(monkeypatch):
    """The kernel's interrupt may come while the engine gets ready."""

    def interrupt(engine: Counts, port: int) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Counts, "ready", interrupt)
    engine = Counts()
    with pytest.raises(KeyboardInterrupt):
        engine.start()
    assert not engine.running and engine not in server.running()


def test_a_cancelled_start_leaves_nothing(wait_until):
    """Though a thread waits for the engine to answer."""

    async def main() -> None:
        starting = asyncio.create_task(engine.__aenter__())
        await asyncio.to_thread(wait_until, lambda: "thinking" in engine.log)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    engine = Silent()
    asyncio.run(main())
    assert not engine.running


def test_a_port_that_somebody_else_took_first_is_no_failure(monkeypatch):
    """Between our look for a free port and the engine's bind: the next one."""
    with socket.create_server(("127.0.0.1", 0)) as quicker:
        taken = quicker.getsockname()[1]
        ports = [taken, free_port("127.0.0.1")]
        monkeypatch.setattr(engine_module, "free_port", lambda _: ports.pop(0))
        with Counts() as engine:
            assert engine.port != taken
            assert ask(engine).startswith("x")


def test_an_address_that_was_lost_is_named(counts):
    """Another port would be no help: clients look at the old one."""
    port = counts.port
    counts.kill()
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server(("127.0.0.1", port)))
        with pytest.raises(EngineFailed, match=f"can not have port {port}"):
            counts.start()


def test_its_environment_is_small(monkeypatch):
    """What is set in our shell does not change what it does, nor does it leak."""
    monkeypatch.setenv("ABACUS_SECRET", "beads")
    monkeypatch.setattr(
        Counts, "code", "import os; print(sorted(os.environ), flush=True)\n" + COUNTS
    )
    with Counts() as engine:
        assert set(eval(engine.log[0])) <= {
            *("HOME", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR"),
            "__CF_USER_TEXT_ENCODING",  # macOS
        }


def test_one_that_other_machines_can_reach_is_refused(monkeypatch):
    """And ended at once."""
    monkeypatch.setattr(Counts, "code", COUNTS.replace("127.0.0.1", "0.0.0.0"))
    with pytest.raises(EngineFailed, match=r"listens on 0\.0\.0\.0"):
        Counts().start()


def test_one_that_runs_already_is_borrowed(monkeypatch):
    """Found by its environment variable, used, and never ended."""
    monkeypatch.setattr(
        Absent, "source", Source("abacus", day=2, variables=("ABACUS_URL",))
    )
    monkeypatch.setattr(Absent, "borrow", lambda self, address: int(address))
    monkeypatch.setenv("ABACUS_URL", "4711")
    with Absent() as engine:
        assert engine.borrowed and engine.running and engine.port == 4711
        with pytest.raises(RuntimeError, match="no process of ours"):
            engine.kill()
        assert engine.running
    assert not engine.running


def test_stop_from_another_thread_while_it_starts():
    """Waits for the start, and then stops it."""
    engine = Counts()
    with engine:
        stopping = threading.Thread(target=engine.stop)
        stopping.start()
        stopping.join(timeout=30)
        assert not stopping.is_alive() and not engine.running
