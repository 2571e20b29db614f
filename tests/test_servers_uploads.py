"""UploadServer: tus 1.0.0 by the letter, a real client, and the plain upload."""

import io
import random
import socket

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from helpers.network.link import Link
from helpers.servers.uploads import EXTENSIONS, UploadServer
from tests.tus_client import (
    CHUNK,
    begin_patch,
    checksum,
    connect,
    create,
    files_of,
    is_problem,
    offset_of,
    patch,
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
    is_problem(patch(http, where, 4, iter([b"x" * 7]), Upload_Length="10"), 413)
    wrong = {"Upload_Length": "10", "Upload_Checksum": checksum("md5", b"other")}
    is_problem(patch(http, where, 4, b"x", **wrong), 460)
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
