"""What the tests of the upload server send: tus by hand, whole and in pieces."""

import base64
import hashlib
import socket
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {"Content-Type": "application/offset+octet-stream"}


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


def digest_on_disk(directory: Path) -> str:
    (path,) = directory.glob("*.data")
    return hashlib.sha256(path.read_bytes()).hexdigest()
