"""Cuts, crashes, and two requests for one upload: it holds a prefix of its data."""

import hashlib
import io
import os
import random
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tusclient.client import TusClient

from helpers.servers.uploads import UploadServer
from tests.tus_client import (
    begin_patch,
    checksum,
    connect,
    create,
    digest_on_disk,
    files_of,
    is_problem,
    offset_of,
    patch,
    status_of,
    wait_until,
)


@pytest.fixture
def server():
    with UploadServer() as server:
        yield server
        assert not server.errors


@pytest.fixture
def http(server):
    with connect(server) as client:
        yield client


# -- cuts, and two requests for one upload -------------------------------------------


def test_cut_keeps_what_arrived(http, server):
    """A PATCH that breaks off keeps its bytes; the client goes on from there."""
    where = create(http, 100)
    with begin_patch(server, where, 0, 100) as sock:
        sock.sendall(b"x" * 70)
        wait_until(lambda: server.uploads[0].offset == 70)
    assert offset_of(http, where) == 70
    assert patch(http, where, 70, b"y" * 30).status_code == 204
    assert server.received(where) == b"x" * 70 + b"y" * 30


def test_cut_right_after_the_bytes(http, server):
    """Bytes that came just before the connection ended are kept as well."""
    where = create(http, 100)
    with begin_patch(server, where, 0, 100) as sock:
        sock.sendall(b"x" * 70)
    wait_until(lambda: server.uploads[0].offset == 70)


def test_hanging_connection_locks_nobody_out(http, server):
    """A cut that the server did not notice: the same client goes on at once."""
    where = create(http, 100)
    with begin_patch(server, where, 0, 100) as hanging:
        hanging.sendall(b"x" * 70)
        wait_until(lambda: server.uploads[0].offset == 70)
        assert offset_of(http, where) == 70
        # The old connection wakes up: too late, the offset was promised.
        hanging.sendall(b"z" * 10)
        assert status_of(hanging) == 409
        assert offset_of(http, where) == 70
        assert patch(http, where, 70, b"y" * 30).status_code == 204
    assert server.received(where) == b"x" * 70 + b"y" * 30


def test_newer_patch_takes_over(http, server):
    """Of two PATCH requests the newer one goes on, the older one gets 409."""
    where = create(http, 20)
    with begin_patch(server, where, 0, 20) as older:
        older.sendall(b"a" * 5)
        wait_until(lambda: server.uploads[0].offset == 5)
        with begin_patch(server, where, 5, 15) as newer:
            newer.sendall(b"b" * 5)
            wait_until(lambda: server.uploads[0].offset == 10)
            older.sendall(b"a" * 15)
            assert status_of(older) == 409
            newer.sendall(b"b" * 10)
            assert status_of(newer) == 204
    assert server.received(where) == b"a" * 5 + b"b" * 15


def test_take_over_from_a_checked_chunk(http, server):
    """What an unfinished chunk with a checksum had written is undone before."""
    where = create(http, 20)
    promised = checksum("sha1", b"a" * 20)
    with begin_patch(server, where, 0, 20, Upload_Checksum=promised) as older:
        older.sendall(b"a" * 15)
        wait_until(lambda: server.bytes_received == 15)
        assert patch(http, where, 0, b"b" * 5).status_code == 204
        older.sendall(b"a" * 5)
        assert status_of(older) == 409
    assert server.received(where) == b"b" * 5
    assert server.uploads[0].path.read_bytes() == b"b" * 5


def test_wrong_offset_disturbs_nobody(http, server):
    """A PATCH that is refused leaves the one that runs alone."""
    where = create(http, 20)
    with begin_patch(server, where, 0, 20) as running:
        running.sendall(b"a" * 5)
        wait_until(lambda: server.uploads[0].offset == 5)
        is_problem(patch(http, where, 0, b"b"), 409)
        is_problem(patch(http, where, 5, b"b" * 16), 413)
        is_problem(patch(http, where, 5, b"b", Upload_Checksum="sha1 x"), 400)
        running.sendall(b"a" * 15)
        assert status_of(running) == 204
    assert server.received(where) == b"a" * 20


def test_delete_under_a_running_patch(http, server):
    """Who still writes to a deleted upload is told; no file comes back."""
    where = create(http, 20)
    with begin_patch(server, where, 0, 20) as running:
        running.sendall(b"a" * 5)
        wait_until(lambda: server.uploads[0].offset == 5)
        assert http.delete(where).status_code == 204
        running.sendall(b"a" * 15)
        assert status_of(running) == 409
    assert files_of(server.store.directory) == []


def test_many_clients_on_one_upload(server):
    """Clients that race for one upload together send its bytes, each once."""
    data = random.Random(1).randbytes(300_000)
    with connect(server) as http:
        where = create(http, len(data))
    failures: list[BaseException] = []

    def push(seed: int) -> None:
        chance = random.Random(seed)
        try:
            with connect(server) as http:
                while (offset := offset_of(http, where)) < len(data):
                    size = chance.randrange(1, 20_000)
                    answer = patch(http, where, offset, data[offset : offset + size])
                    assert answer.status_code in (204, 409)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=push, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert server.received(where) == data


# -- a model of it all ---------------------------------------------------------------


class UploadMachine(RuleBasedStateMachine):
    """Whatever happens to one upload, it holds a prefix of its data."""

    LENGTH = 5000
    DATA = random.Random(7).randbytes(LENGTH)

    def __init__(self) -> None:
        super().__init__()
        self.directory = UploadMachine.root / os.urandom(8).hex()
        self.server = UploadServer(self.directory).start()
        self.http = connect(self.server)
        self.where = create(self.http, self.LENGTH)
        self.offset = 0

    def teardown(self) -> None:
        self.http.close()
        self.server.stop()

    def chunk(self, size: int) -> bytes:
        return self.DATA[self.offset : self.offset + size]

    @rule(size=st.integers(0, 1500), checked=st.booleans())
    def append(self, size, checked):
        chunk = self.chunk(size)
        fields = {"Upload_Checksum": checksum("sha1", chunk)} if checked else {}
        answer = patch(self.http, self.where, self.offset, chunk, **fields)
        assert answer.status_code == 204
        self.offset += len(chunk)
        assert answer.headers["Upload-Offset"] == str(self.offset)

    @rule(size=st.integers(1, 1500))
    def append_damaged(self, size):
        wrong = checksum("md5", b"another")
        chunk = self.chunk(size)
        answer = patch(self.http, self.where, self.offset, chunk, Upload_Checksum=wrong)
        is_problem(answer, 460)

    @rule(offset=st.integers(0, LENGTH + 10))
    def append_elsewhere(self, offset):
        if offset != self.offset:
            is_problem(patch(self.http, self.where, offset, b"wrong"), 409)

    @rule(more=st.integers(1, 100), told=st.booleans())
    def append_too_much(self, more, told):
        data = b"w" * (self.LENGTH - self.offset + more)
        body = data if told else iter([data])
        is_problem(patch(self.http, self.where, self.offset, body), 413)

    @precondition(lambda self: self.offset < self.LENGTH)
    @rule(size=st.integers(0, 1500), checked=st.booleans())
    def cut(self, size, checked):
        rest = self.DATA[self.offset :]
        fields = {"Upload_Checksum": checksum("sha1", rest)} if checked else {}
        sent = rest[: min(size, len(rest) - 1)]
        args = (self.server, self.where, self.offset, len(rest))
        before = self.server.requests
        with begin_patch(*args, **fields) as sock:
            sock.sendall(sent)
            # A HEAD on another connection might overtake it otherwise.
            wait_until(lambda: self.server.requests > before)
        now = offset_of(self.http, self.where)
        assert self.offset <= now <= self.offset + (0 if checked else len(sent))
        self.offset = now

    @rule()
    def restart(self):
        self.server.stop()
        self.server.start()

    @invariant()
    def holds_a_prefix(self):
        # HEAD first: it shuts out a request whose cut was not noticed yet.
        assert offset_of(self.http, self.where) == self.offset
        assert self.server.received(self.where) == self.DATA[: self.offset]
        assert not self.server.errors


def test_model(tmp_path):
    """Appending, damaging, cutting and restarting in any order keep the prefix."""
    UploadMachine.root = tmp_path
    machine = UploadMachine.TestCase
    machine.settings = settings(
        max_examples=20, stateful_step_count=15, deadline=None, derandomize=True
    )
    machine().runTest()


# -- crashes and restarts ------------------------------------------------------------


def test_killed_between_two_patches(tmp_path):
    """SIGKILL loses nothing that was acknowledged; tuspy resumes on the same URL."""
    data = random.Random(4).randbytes(2_000_000)
    with UploadServer.in_process(tmp_path) as server:
        client = TusClient(server.make_url("/uploads"))
        uploader = client.uploader(file_stream=io.BytesIO(data), chunk_size=700_000)
        uploader.upload_chunk()
        server.kill()
        server.start()
        resumed = client.uploader(file_stream=io.BytesIO(data), url=uploader.url)
        assert resumed.offset == 700_000
        resumed.upload()
    assert digest_on_disk(tmp_path) == hashlib.sha256(data).hexdigest()


def test_killed_in_the_middle_of_a_patch(tmp_path):
    """SIGKILL in mid-PATCH: what is there is a prefix, and the rest can follow."""
    data = random.Random(5).randbytes(1_000_000)
    with UploadServer.in_process(tmp_path) as server:
        with connect(server) as http:
            where = create(http, len(data))
        with begin_patch(server, where, 0, len(data)) as sock:
            sock.sendall(data[:400_000])
            (path,) = tmp_path.glob("*.data")
            wait_until(lambda: path.stat().st_size > 0)
            server.kill()
        server.start()
        with connect(server) as http:
            offset = offset_of(http, where)
            assert 0 < offset <= 400_000
            assert patch(http, where, offset, data[offset:]).status_code == 204
    assert digest_on_disk(tmp_path) == hashlib.sha256(data).hexdigest()


def test_killed_before_the_checksum_was_checked(tmp_path):
    """Bytes that still wait for their checksum do not survive a crash."""
    with UploadServer.in_process(tmp_path) as server:
        with connect(server) as http:
            where = create(http, 1000)
            patch(http, where, 0, b"good")
        promised = checksum("sha1", b"never")
        with begin_patch(server, where, 4, 500, Upload_Checksum=promised) as sock:
            sock.sendall(b"unproven")
            (path,) = tmp_path.glob("*.data")
            wait_until(lambda: path.stat().st_size > 4)
            server.kill()
        server.start()
        with connect(server) as http:
            assert offset_of(http, where) == 4
            assert path.read_bytes() == b"good"


def test_restart_on_what_others_left(tmp_path):
    """What is no upload in the directory is left alone, and hurts nobody."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / ("x" * 22 + ".data")).write_text("half removed")
    with UploadServer(tmp_path) as server:
        assert server.uploads == []
        with connect(server) as http:
            create(http, 3)
    assert {"notes.txt", "broken.json", "other.json"} <= set(files_of(tmp_path))
    assert "x" * 22 + ".data" not in files_of(tmp_path)


def test_temporary_directory_goes(server):
    """Without a directory of its own the server leaves no file behind."""
    with UploadServer() as other:
        directory = other.store.directory
        with connect(other) as http:
            where = create(http, 100)
        with begin_patch(other, where, 0, 100, Upload_Checksum=checksum("md5", b"")):
            wait_until(lambda: other.uploads[0].writer is not None)
    assert not directory.exists()
    assert not other.errors
    with pytest.raises(RuntimeError, match="does not run"):
        other.received(where)
