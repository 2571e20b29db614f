"""Limits on size, number and time, and a disk that is full."""

import errno
import io
import re
import sys
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from helpers.servers import upload_file
from helpers.servers.upload_file import Writer
from helpers.servers.upload_store import UploadStore
from helpers.servers.uploads import UploadServer
from tests.tus_client import (
    begin_patch,
    checksum,
    connect,
    create,
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


def test_upload_under_way_does_not_expire():
    """Who is still sending when the time is up may send to the end of the request."""
    now = [0.0]
    with UploadServer(lifetime=60.0, clock=lambda: now[0]) as server:
        with connect(server) as http:
            where = create(http, 20)
            with begin_patch(server, where, 0, 20) as running:
                running.sendall(b"a" * 5)
                wait_until(lambda: server.uploads[0].offset == 5)
                now[0] += 60
                create(http, 1)  # clears away what has expired
                running.sendall(b"a" * 15)
                assert status_of(running) == 204
            assert server.received(where) == b"a" * 20


def test_disk_full_when_a_checked_chunk_ends(tmp_path, monkeypatch):
    """A mark that could not be cleared is cleared before more bytes are accepted."""
    limits = {"max_size": 99, "max_uploads": 9, "max_total": 99, "lifetime": 9.0}
    store = UploadStore(tmp_path, **limits)
    upload = store.create(10)
    writer = Writer(upload, provisional=True).__enter__()
    writer.write(b"1234")
    writer.commit()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", raise_disk_full)
        with pytest.raises(OSError, match="No space"):
            writer.__exit__(None, None, None)
    with Writer(upload) as writer:
        writer.write(b"567890")
    again = UploadStore(tmp_path, **limits)
    again.load()
    assert again.find(upload.id).read() == b"1234567890"


def raise_disk_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
