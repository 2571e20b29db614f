"""UploadServer: tus 1.0.0 by the letter, real clients, cuts, crashes, bad input."""

import base64
import errno
import hashlib
import io
import json
import os
import random
import re
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from helpers.network.link import Link
from helpers.servers import upload_file
from helpers.servers.body import Pace
from helpers.servers.uploads import EXTENSIONS, UploadServer

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def server():
    with UploadServer() as server:
        yield server
        assert not server.errors


@pytest.fixture
def http(server):
    with connect(server) as client:
        yield client


def connect(server) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers=TUS, timeout=30)


def create(http: httpx.Client, length: int, **headers: str) -> str:
    answer = http.post("/uploads", headers={"Upload-Length": str(length)} | headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def patch(
    http: httpx.Client, where: str, offset: int | str, data: object, **fields: str
) -> httpx.Response:
    """Fields by keyword: ``Upload_Checksum=…`` is Upload-Checksum."""
    headers = CHUNK | {"Upload-Offset": str(offset)}
    headers |= {name.replace("_", "-"): value for name, value in fields.items()}
    return http.patch(where, content=data, headers=headers)


def offset_of(http: httpx.Client, where: str) -> int:
    return int(http.head(where).headers["Upload-Offset"])


def checksum(name: str, data: bytes) -> str:
    if name == "crc32":
        digest = zlib.crc32(data).to_bytes(4, "big")
    else:
        digest = hashlib.new(name, data).digest()
    return f"{name} {base64.b64encode(digest).decode()}"


def is_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    give_up = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.002)


def begin_patch(server, where: str, offset: int, length: int, **fields: str):
    """A PATCH over a raw socket whose body the caller sends, or doesn't."""
    sock = socket.create_connection((server.host, server.port), timeout=20)
    headers = TUS | CHUNK | {"Host": "x", "Upload-Offset": str(offset)}
    headers |= {"Content-Length": str(length)}
    headers |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"PATCH {where} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    return sock


def status_of(sock: socket.socket) -> int:
    """The status of the next response; 0 when the connection was closed."""
    try:
        line = sock.makefile("rb").readline()
    except ConnectionResetError:
        line = b""
    return int(line.split()[1]) if line else 0


def files_of(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# -- tus by the letter ---------------------------------------------------------------


def test_options(http):
    """OPTIONS tells what the server can do, and asks for no version."""
    del http.headers["Tus-Resumable"]
    for headers in ({}, {"Tus-Resumable": "0.0.1"}):
        answer = http.options("/uploads", headers=headers)
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert answer.headers["Tus-Extension"] == EXTENSIONS
        assert int(answer.headers["Tus-Max-Size"]) == UploadServer.max_size
        assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")


def test_create_and_head(http):
    """A new upload is at offset 0; HEAD repeats its length and metadata, uncached."""
    metadata = "filename d29ybGQucGRm,draft"
    answer = http.post(
        "/uploads", headers={"Upload-Length": "100", "Upload-Metadata": metadata}
    )
    assert answer.status_code == 201
    head = http.head(answer.headers["Location"])
    assert head.status_code == 200
    assert head.headers["Upload-Offset"] == "0"
    assert head.headers["Upload-Length"] == "100"
    assert head.headers["Upload-Metadata"] == metadata
    assert head.headers["Cache-Control"] == "no-store"
    assert head.headers["Tus-Resumable"] == "1.0.0"
    assert "Upload-Defer-Length" not in head.headers
    assert head.headers["Upload-Expires"] == answer.headers["Upload-Expires"]


def test_patch(http, server):
    """PATCH appends: 204 with the new offset, until the upload is complete."""
    where = create(http, 11)
    first = patch(http, where, 0, b"hello ")
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "6")
    assert first.headers["Tus-Resumable"] == "1.0.0"
    assert "Upload-Expires" in first.headers
    last = patch(http, where, 6, b"world")
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, "11")
    assert "Upload-Expires" not in last.headers  # complete: it does not expire
    assert server.received(where) == b"hello world"
    assert server.uploads[0].complete
    assert server.bytes_received == 11


def test_empty_upload(http, server):
    """An upload of no bytes is complete at once."""
    where = create(http, 0)
    assert server.uploads[0].complete
    assert patch(http, where, 0, b"").status_code == 204
    assert server.received(where) == b""


@pytest.mark.parametrize("offset", [0, 4, 6, 10**17, "9" * 5000])
def test_wrong_offset(http, server, offset):
    """409 for any other offset than the current one; nothing changes."""
    where = create(http, 10)
    patch(http, where, 0, b"12345")
    answer = patch(http, where, offset, b"x")
    is_problem(answer, 409)
    assert answer.headers["Upload-Offset"] == "5"
    assert server.received(where) == b"12345"


@pytest.mark.parametrize("offset", ["", "-1", "+1", "1.0", "0x0", "1_0", "١", " "])
def test_malformed_offset(http, offset):
    """400 for an offset that is no whole number."""
    where = create(http, 10)
    is_problem(patch(http, where, offset.encode(), b"x"), 400)


def test_missing_and_doubled_offset(http):
    """400 without Upload-Offset, and with two of them."""
    where = create(http, 10)
    is_problem(http.patch(where, content=b"x", headers=CHUNK), 400)
    twice = [*CHUNK.items(), ("Upload-Offset", "0"), ("Upload-Offset", "0")]
    is_problem(http.patch(where, content=b"x", headers=twice), 400)


def test_wrong_content_type(http, server):
    """415 for a PATCH of any other media type."""
    where = create(http, 10)
    for media_type in ("application/octet-stream", "text/plain", ""):
        is_problem(patch(http, where, 0, b"x", Content_Type=media_type), 415)
    assert server.received(where) == b""


def test_compressed_body(http, server):
    """415 for a compressed body: the offset counts the bytes as they are."""
    where = create(http, 10)
    is_problem(patch(http, where, 0, b"x", Content_Encoding="gzip"), 415)
    assert server.received(where) == b""


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0", "2.0.0"])
def test_unsupported_version(http, server, version):
    """412 with Tus-Version, and the request is not processed."""
    where = create(http, 10)
    del http.headers["Tus-Resumable"]
    fields = {} if version is None else {"Tus-Resumable": version}
    for answer in (
        patch(http, where, 0, b"x", **fields),
        http.post("/uploads", headers={"Upload-Length": "1"} | fields),
        http.delete(where, headers=fields),
    ):
        is_problem(answer, 412)
        assert answer.headers["Tus-Version"] == "1.0.0"
    assert http.head(where, headers=fields).status_code == 412
    assert len(server.uploads) == 1
    assert server.received(where) == b""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": ""}, 400),
        ({"Upload-Defer-Length": "2"}, 400),
        ({"Upload-Defer-Length": "1", "Upload-Length": "3"}, 400),
        ({"Upload-Length": str(UploadServer.max_size + 1)}, 413),
        ({"Upload-Length": "9" * 4000}, 413),
        ({"Upload-Length": "3", "Upload-Metadata": "a b c"}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "a !!"}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "a YQ==,a YQ=="}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "a,,b"}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "a YQ=="[:3] + "\xff"}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "a " + "YWFh" * 1200}, 413),
    ],
)
def test_bad_creation(http, server, headers, status):
    """A creation that is malformed or too large makes no upload."""
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    is_problem(http.post("/uploads", headers=raw), status)
    assert server.uploads == []


def test_longer_than_declared(http, server):
    """413 for more bytes than declared, told before or found out; nothing is kept."""
    where = create(http, 10)
    patch(http, where, 0, b"1234")
    is_problem(patch(http, where, 4, b"x" * 7), 413)
    assert server.bytes_received == 4  # refused by its Content-Length alone
    is_problem(patch(http, where, 4, iter([b"x" * 5, b"y" * 100_000])), 413)
    assert server.received(where) == b"1234"
    assert patch(http, where, 4, b"567890").status_code == 204
    is_problem(patch(http, where, 10, b"x"), 413)
    assert server.received(where) == b"1234567890"


def test_deferred_length(http, server):
    """The length may come with a later PATCH, once, and is then fixed."""
    answer = http.post("/uploads", headers={"Upload-Defer-Length": "1"})
    where = answer.headers["Location"]
    assert http.head(where).headers["Upload-Defer-Length"] == "1"
    assert patch(http, where, 0, b"1234").status_code == 204
    is_problem(patch(http, where, 4, b"", Upload_Length="3"), 400)
    is_problem(patch(http, where, 4, b"", Upload_Length=str(10**9)), 413)
    is_problem(patch(http, where, 4, b"x" * 7, Upload_Length="10"), 413)
    assert http.head(where).headers["Upload-Defer-Length"] == "1"
    assert patch(http, where, 4, b"56", Upload_Length="10").status_code == 204
    head = http.head(where).headers
    assert (head["Upload-Length"], head["Upload-Offset"]) == ("10", "6")
    assert "Upload-Defer-Length" not in head
    is_problem(patch(http, where, 6, b"", Upload_Length="11"), 400)
    assert patch(http, where, 6, b"7890", Upload_Length="10").status_code == 204
    assert server.uploads[0].complete


def test_deferred_length_is_bounded(http, server):
    """Without a length the server's own limit holds."""
    answer = http.post("/uploads", headers={"Upload-Defer-Length": "1"})
    where = answer.headers["Location"]
    server.uploads[0].max_size = 10
    is_problem(patch(http, where, 0, iter([b"x" * 11])), 413)
    assert offset_of(http, where) == 0


def test_creation_with_upload(http, server):
    """POST may bring the first bytes along; 415 and 413 as for PATCH, and no upload."""
    headers = CHUNK | {"Upload-Length": "10"}
    answer = http.post("/uploads", content=b"hello", headers=headers)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "5")
    assert server.received(answer.headers["Location"]) == b"hello"
    is_problem(http.post("/uploads", content=b"x" * 11, headers=headers), 413)
    wrong = headers | {"Content-Type": "text/plain"}
    is_problem(http.post("/uploads", content=b"x", headers=wrong), 415)
    assert len(server.uploads) == 1


def test_delete(http, server):
    """DELETE frees an upload, finished or not; then it is not there."""
    where = create(http, 10)
    assert http.delete(where).status_code == 204
    is_problem(http.delete(where), 404)
    is_problem(patch(http, where, 0, b"x"), 404)
    head = http.head(where)
    assert head.status_code == 404
    assert "Upload-Offset" not in head.headers
    assert files_of(server.store.directory) == []
    with pytest.raises(KeyError, match="no upload"):
        server.received(where)


def test_method_not_allowed(http):
    """405 names what is allowed."""
    where = create(http, 10)
    for answer, allowed in (
        (http.get(where), "OPTIONS, HEAD, PATCH, DELETE"),
        (http.put("/uploads"), "OPTIONS, POST"),
        (http.get("/plain/x"), "POST, PUT"),
    ):
        is_problem(answer, 405)
        assert answer.headers["Allow"] == allowed


def test_method_override(http, server):
    """X-HTTP-Method-Override replaces the method, for proxies without PATCH."""
    where = create(http, 3)
    headers = CHUNK | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert http.post(where, content=b"abc", headers=headers).status_code == 204
    assert server.received(where) == b"abc"
    is_problem(http.post(where, headers={"X-HTTP-Method-Override": "BREW"}), 405)


# -- checksums -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sha1", "sha256", "md5", "crc32"])
def test_checksum(http, server, name):
    """A chunk with its checksum counts; one with another's gets 460 and does not."""
    where = create(http, 11)
    right, wrong = checksum(name, b"hello "), checksum(name, b"hello!")
    answer = patch(http, where, 0, b"hello ", Upload_Checksum=wrong)
    is_problem(answer, 460)
    assert answer.reason_phrase == "Checksum Mismatch"
    assert offset_of(http, where) == 0
    assert server.store.find(where[9:]).path.stat().st_size == 0
    assert patch(http, where, 0, b"hello ", Upload_Checksum=right).status_code == 204
    is_problem(patch(http, where, 6, b"world", Upload_Checksum=wrong), 460)
    assert server.received(where) == b"hello "
    assert patch(http, where, 6, b"world").status_code == 204
    assert server.received(where) == b"hello world"


@pytest.mark.parametrize(
    "header", ["", "sha1", "sha1 !!!", "sha1 YWJj", "SHA1 x", "sha3 YWJj"]
)
def test_bad_checksum_header(http, server, header):
    """400 for a checksum that is malformed or of an unknown kind; nothing is kept."""
    where = create(http, 10)
    is_problem(patch(http, where, 0, b"x", Upload_Checksum=header), 400)
    assert server.received(where) == b""


def test_cut_with_checksum_keeps_nothing(http, server):
    """Half a chunk can not be checked, so it does not count."""
    where = create(http, 100)
    promised = checksum("sha1", b"x" * 100)
    with begin_patch(server, where, 0, 100, Upload_Checksum=promised) as sock:
        sock.sendall(b"x" * 70)
        wait_until(lambda: server.bytes_received == 70)
        assert server.uploads[0].offset == 0
    wait_until(lambda: server.uploads[0].writer is None)
    assert offset_of(http, where) == 0
    assert patch(http, where, 0, b"y" * 100).status_code == 204
    assert server.received(where) == b"y" * 100


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


# -- a client that we did not write --------------------------------------------------


@pytest.mark.parametrize("checked", [False, True])
def test_tuspy(server, checked):
    """tuspy uploads as it is, in chunks, with checksums and metadata."""
    data = random.Random(2).randbytes(1_000_000)
    uploader = TusClient(server.make_url("/uploads")).uploader(
        file_stream=io.BytesIO(data),
        chunk_size=300_000,
        metadata={"filename": "video.mp4"},
        upload_checksum=checked,
    )
    uploader.upload()
    assert server.received(uploader.url) == data
    assert server.uploads[0].metadata == "filename dmlkZW8ubXA0"


def test_tuspy_through_cuts(server):
    """tuspy gets its bytes through a link that cuts each connection."""
    data = random.Random(3).randbytes(1_000_000)
    with Link(server, cut_after=150_000, latency=0.001) as link:
        uploader = TusClient(link.make_url("/uploads")).uploader(
            file_stream=io.BytesIO(data), retries=100, retry_delay=0
        )
        uploader.upload()
    assert server.received(uploader.url) == data
    assert server.uploads[0].complete
    # Not a chunk was sent twice as a whole: that is the point of resuming.
    assert server.bytes_received < 1.5 * len(data)


def test_tuspy_is_refused(server):
    """tuspy sees the statuses it knows: too large at creation, gone at resuming."""
    client = TusClient(server.make_url("/uploads"))
    server.store.max_size = 10
    with pytest.raises(TusCommunicationError):
        client.uploader(file_stream=io.BytesIO(b"x" * 11)).upload()
    with pytest.raises(TusCommunicationError):
        client.uploader(file_stream=io.BytesIO(b"x"), url=f"{client.url}/gone")
    uploader = client.uploader(file_stream=io.BytesIO(b"x" * 9))
    uploader.set_url(uploader.create_url())
    server.store.remove(server.uploads[-1])
    with pytest.raises(TusUploadFailed):
        uploader.upload_chunk()


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


def digest_on_disk(directory: Path) -> str:
    (path,) = directory.glob("*.data")
    return hashlib.sha256(path.read_bytes()).hexdigest()


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


# -- limits --------------------------------------------------------------------------


def test_expired_is_gone():
    """An unfinished upload expires: 410, its files go; a finished one stays."""
    now = [1_000_000.0]
    with UploadServer(lifetime=60.0, clock=lambda: now[0]) as server:
        with connect(server) as http:
            answer = http.post("/uploads", headers={"Upload-Length": "9"})
            where, done = answer.headers["Location"], create(http, 0)
            expires = parsedate_to_datetime(answer.headers["Upload-Expires"])
            assert expires.timestamp() == now[0] + 60
            now[0] += 59
            assert patch(http, where, 0, b"x").status_code == 204
            now[0] += 1
            is_problem(patch(http, where, 1, b"x"), 410)
            head = http.head(where)
            assert head.status_code == 410
            assert "Upload-Offset" not in head.headers
            assert http.head(done).status_code == 200
            assert [upload.id for upload in server.uploads] == [done[9:]]
            assert len(files_of(server.store.directory)) == 2


def test_expired_are_forgotten_in_the_end(server, monkeypatch):
    """The memory for what has expired is bounded: then it is 404."""
    monkeypatch.setattr("helpers.servers.upload_store.REMEMBERED_EXPIRED", 2)
    server.store.lifetime = 0.0
    with connect(server) as http:
        places = [create(http, 1) for _ in range(4)]
        codes = [http.head(where).status_code for where in places]
    assert codes == [404, 404, 410, 410]


def test_number_is_bounded(http, server):
    """507 when there are too many uploads; deleting one makes room."""
    server.store.max_uploads = 2
    first, _ = create(http, 1), create(http, 1)
    is_problem(http.post("/uploads", headers={"Upload-Length": "1"}), 507)
    is_problem(http.put("/plain/x", content=b"x"), 507)
    http.delete(first)
    create(http, 1)


def test_total_is_bounded(http, server):
    """507 when all uploads together would take too much, as they are declared."""
    server.store.max_total = 100
    create(http, 60)
    is_problem(http.post("/uploads", headers={"Upload-Length": "41"}), 507)
    is_problem(http.post("/uploads", headers={"Upload-Defer-Length": "1"}), 507)
    create(http, 40)


def test_disk_full(http, server, monkeypatch):
    """507 when the disk is full; what was written before counts, later more fits."""
    where = create(http, 10)
    patch(http, where, 0, b"1234")
    open_as_always = Path.open

    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_full(path, mode, **options):
        return Full(path, mode) if "+" in mode else open_as_always(path, mode)

    with monkeypatch.context() as patched:
        patched.setattr(upload_file.Path, "open", open_full)
        is_problem(patch(http, where, 4, b"5678"), 507)
    assert offset_of(http, where) == 4
    with monkeypatch.context() as patched:
        patched.setattr(upload_file.Path, "write_text", Full.write)
        right = checksum("sha1", b"5678")
        is_problem(patch(http, where, 4, b"5678", Upload_Checksum=right), 507)
        is_problem(http.post("/uploads", headers={"Upload-Length": "1"}), 507)
    assert patch(http, where, 4, b"567890").status_code == 204
    assert server.received(where) == b"1234567890"
    assert len(server.uploads) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_is_bounded(tmp_path):
    """100 MB against a limit of 10 MB: refused, whether told before or not."""

    class Small(UploadServer):
        max_size = 10_000_000

    def peak(pid: int) -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    megabyte = b"x" * 1_000_000
    with Small.in_process(tmp_path) as server, connect(server) as http:
        where = create(http, 10_000_000)
        before = peak(server.pid)
        for body in (lambda: megabyte * 100, lambda: (megabyte for _ in range(100))):
            for send in (
                lambda body: patch(http, where, 0, body),
                lambda body: http.put("/plain/x", content=body),
            ):
                try:
                    is_problem(send(body()), 413)
                except (httpx.WriteError, httpx.ReadError):
                    pass  # it need not read to the end what it has refused
        assert offset_of(http, where) == 0
        assert peak(server.pid) - before < 20_000_000


# -- the plain upload ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_plain(http, server, method):
    """One request, the whole body: 201, and 204 when it replaced another."""
    first = http.request(method, "/plain/video.mp4", content=b"one")
    assert (first.status_code, first.headers["Location"]) == (201, "/plain/video.mp4")
    again = http.request(method, "/plain/video.mp4", content=iter([b"t", b"wo"]))
    assert again.status_code == 204
    assert server.received_plain("video.mp4") == b"two"
    assert server.bytes_received == 6
    assert len(files_of(server.store.directory)) == 2
    assert server.uploads == []  # those are the resumable ones


def test_plain_cut_keeps_nothing(http, server):
    """A plain upload that breaks off leaves nothing, though its bytes were sent."""
    http.put("/plain/a", content=b"before")
    with socket.create_connection((server.host, server.port)) as sock:
        sock.sendall(b"PUT /plain/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n")
        sock.sendall(b"x" * 70)
        wait_until(lambda: server.bytes_received == 76)
    wait_until(lambda: len(server.store.all()) == 1)
    assert server.received_plain("a") == b"before"
    assert len(files_of(server.store.directory)) == 2


def test_plain_survives_a_restart_when_whole(tmp_path):
    """After a crash the whole ones are there, the halves are not."""
    with UploadServer.in_process(tmp_path) as server:
        httpx.put(server.make_url("/plain/whole"), content=b"all of it")
        with socket.create_connection((server.host, server.port)) as sock:
            head = b"PUT /plain/half HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"
            sock.sendall(head + b"x")
            wait_until(lambda: len(list(tmp_path.glob("*.data"))) == 2)
            server.kill()
    with UploadServer(tmp_path) as server:
        assert server.received_plain("whole") == b"all of it"
        with pytest.raises(KeyError, match="arrived whole"):
            server.received_plain("half")
        assert len(files_of(tmp_path)) == 2


def test_plain_too_large(http, server):
    """413 for a body beyond the limit, and nothing stays."""
    server.store.max_size = 10
    is_problem(http.put("/plain/x", content=b"x" * 11), 413)
    is_problem(http.put("/plain/x", content=iter([b"x" * 11])), 413)
    assert files_of(server.store.directory) == []


# -- clients that misbehave ----------------------------------------------------------


class Impatient(UploadServer):
    pace = Pace(grace=0.3, rate=1000.0, idle=5.0)


def test_slow_client():
    """Some bytes now and then: 408, what came is kept, the server goes on."""
    with Impatient() as server, connect(server) as http:
        where = create(http, 5000)
        with begin_patch(server, where, 0, 5000) as sock:
            sock.settimeout(0.05)
            answer, sent = b"", 0
            while not answer:
                sock.sendall(b"x")
                sent += 1
                try:
                    answer = sock.recv(1000)
                except TimeoutError:
                    pass
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"\r\nConnection: close\r\n" in answer
            assert 0 < offset_of(http, where) <= sent
        offset = offset_of(http, where)
        rest = b"x" * (5000 - offset)
        assert patch(http, where, offset, rest).status_code == 204


ESCAPES = [
    "..",
    "../../etc/passwd",
    "%2e%2e",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "..%5csecret",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "%00",
    "secret%00.data",
    "secret.data",
    "%252e%252e%252fsecret",
    "%c0%ae%c0%ae%c0%afsecret",
    "~root",
    "C:%5csecret",
    "x" * 5000,
    "%F0%9F%92%A9",
    "*",
    "",
]


@pytest.mark.parametrize("token", ESCAPES, ids=range(len(ESCAPES)))
def test_path_traversal(tmp_path, token):
    """No id leads out of the directory, or to a file that is no upload: 404."""
    directory = tmp_path / "uploads"
    directory.mkdir()
    for secret in (tmp_path / "secret", directory / "secret.data"):
        secret.write_bytes(b"secret")
    with UploadServer(directory) as server:
        for base in ("/uploads/", "/plain/"):
            if base + token == "/plain/secret.data":
                continue  # a name like any other, there
            for method in ("HEAD", "PATCH", "DELETE", "PUT"):
                status = raw_status(server, method, base + token)
                assert status in (404, 405), (method, base)
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert files_of(tmp_path) == ["secret", "uploads"]
    assert files_of(directory) == ["secret.data"]


def raw_status(server, method: str, target: str) -> int:
    """Without a client that would tidy the path up first."""
    fields = TUS | CHUNK | {"Host": "x", "Upload-Offset": "0", "Content-Length": "1"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    request = f"{method} {target} HTTP/1.1\r\n{head}Connection: close\r\n\r\nx"
    with socket.create_connection((server.host, server.port), timeout=20) as sock:
        sock.sendall(request.encode())
        return status_of(sock)


MALFORMED = [
    b"\x00" * 100 + b"\r\n\r\n",
    b"PATCH\r\n\r\n",
    b"PATCH /uploads/x HTTP/1.1\r\nUpload-Offset: 1\x002\r\n\r\n",
    b"PATCH /uploads/x HTTP/1.1\r\nUpload Offset: 1\r\n\r\n",
    b"POST /uploads HTTP/1.1\r\nUpload-Metadata: " + b"x" * 1_000_000 + b"\r\n\r\n",
    b"POST /uploads HTTP/1.1\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_http(request_bytes):
    """What is no HTTP request gets 400; the server goes on."""
    with UploadServer() as server, connect(server) as http:
        with socket.create_connection((server.host, server.port), timeout=20) as sock:
            try:
                sock.sendall(request_bytes)
                assert status_of(sock) in (0, 400)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it closed before it had read all of it
        where = create(http, 1)
        assert patch(http, where, 0, b"x").status_code == 204
        server.errors.clear()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    fields=st.dictionaries(
        st.sampled_from(
            [
                "Upload-Length",
                "Upload-Defer-Length",
                "Upload-Metadata",
                "Upload-Checksum",
                "Upload-Offset",
                "Tus-Resumable",
                "X-HTTP-Method-Override",
                "Content-Type",
            ]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
        | st.sampled_from(["1", "0", "10", "PATCH", CHUNK["Content-Type"], "1.0.0"]),
    ),
    body=st.binary(max_size=20),
    method=st.sampled_from(["POST", "PATCH", "HEAD", "DELETE", "OPTIONS", "PUT"]),
)
def test_any_header_values(http, server, fields, body, method):
    """Whatever the header fields say, the answer is a success or a clear refusal."""
    where = create(http, 10)
    raw = {name: value.encode("latin-1") for name, value in fields.items()}
    for place in ("/uploads", where):
        answer = http.request(method, place, content=body, headers=raw)
        assert answer.status_code < 500
        if answer.status_code >= 400 and method != "HEAD" and answer.content:
            assert json.loads(answer.content)["status"] == answer.status_code
    http.delete(where)
    assert not server.errors
