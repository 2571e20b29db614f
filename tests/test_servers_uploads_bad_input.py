"""Clients that misbehave: the upload server refuses clearly and goes on."""

import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.servers.body import Pace
from helpers.servers.uploads import UploadServer
from tests.tus_client import (
    CHUNK,
    TUS,
    begin_patch,
    connect,
    create,
    files_of,
    offset_of,
    patch,
    status_of,
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
