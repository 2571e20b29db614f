"""The words of tus 1.0.0: reading its headers (https://tus.io/protocols/resumable-upload).

No sockets and no files here: each function takes text or a request's headers and
returns a value, or raises the :class:`Problem` that the protocol asks for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable
from email.utils import formatdate

from multidict import CIMultiDictProxy

from helpers.servers.problem import Problem

__all__ = [
    "ALGORITHMS",
    "CHUNK_TYPE",
    "VERSION",
    "Checksum",
    "http_date",
    "parse_metadata",
    "read_length",
    "read_number",
    "require_version",
]

VERSION = "1.0.0"
CHUNK_TYPE = "application/offset+octet-stream"
MAX_METADATA = 4096  # characters; aiohttp allows a header 8190
BEYOND_ANY_SIZE = 10**18

Headers = CIMultiDictProxy[str]


class _CRC32:
    """zlib's CRC-32 with the methods of a hashlib object; its digest is big-endian."""

    digest_size = 4

    def __init__(self) -> None:
        self._value = 0

    def update(self, chunk: bytes) -> None:
        self._value = zlib.crc32(chunk, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


# md5 and sha1 guard against accidents here, not against attackers.
ALGORITHMS: dict[str, Callable] = {
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "md5": hashlib.md5,
    "crc32": _CRC32,
}


class Checksum:
    """The checksum that a request promised for its own body (Upload-Checksum)."""

    def __init__(self, header: str) -> None:
        name, _, encoded = header.partition(" ")
        if name not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise Problem(400, f"Unknown checksum {name!r}; there are {known}.")
        self._hash = ALGORITHMS[name]()
        self._promised = decode_base64(encoded, "the checksum")
        if len(self._promised) != self._hash.digest_size:
            raise Problem(
                400, f"A {name} checksum has {self._hash.digest_size} bytes in base64."
            )

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    def verify(self) -> None:
        """Raises Problem 460 when what was fed is not what was promised."""
        if self._hash.digest() != self._promised:
            raise Problem(
                460,
                "The bytes that arrived are not those of the checksum. None was kept: "
                "send them again from the same offset.",
                title="Checksum Mismatch",
            )


def require_version(headers: Headers) -> None:
    version = headers.get("Tus-Resumable")
    if version != VERSION:
        raise Problem(
            412,
            f"Send Tus-Resumable: {VERSION}, not {version}.",
            headers={"Tus-Version": VERSION},
        )


def read_number(headers: Headers, name: str) -> int:
    """A header that must be there once, as a whole number; else Problem 400."""
    values = headers.getall(name, [])
    # Digits of ASCII only: int() would take "+1", "1_000" and "١" as well.
    if len(values) != 1 or not re.fullmatch("[0-9]+", values[0]):
        shown = ", ".join(values)[:40] or "nothing"
        raise Problem(400, f"{name} must be one whole number, not {shown!r}.")
    # Many digits are a large number still, but not one to compute with.
    return int(values[0]) if len(values[0]) <= 18 else BEYOND_ANY_SIZE


def read_length(headers: Headers) -> int | None:
    """The length of a new upload; None when it is deferred (Upload-Defer-Length)."""
    if "Upload-Defer-Length" not in headers:
        return read_number(headers, "Upload-Length")
    if "Upload-Length" in headers or headers["Upload-Defer-Length"] != "1":
        raise Problem(
            400, "Send Upload-Length, or Upload-Defer-Length: 1 when you don't know it."
        )
    return None


def parse_metadata(header: str) -> dict[str, bytes]:
    """``"filename d29ybGQ=,draft"`` → ``{"filename": b"world", "draft": b""}``.

    Empty is allowed: tuspy sends the header so when it has no metadata.
    Raises Problem 400 for a bad pair or a key that comes twice, 413 for too much.
    """
    if len(header) > MAX_METADATA:
        raise Problem(413, f"Upload-Metadata may have {MAX_METADATA} characters.")
    pairs = [pair.strip() for pair in header.split(",")] if header.strip() else []
    metadata: dict[str, bytes] = {}
    for pair in pairs:
        key, _, encoded = pair.partition(" ")
        if not re.fullmatch("[!-~]+", key) or key in metadata:
            raise Problem(
                400, f"Upload-Metadata: {key[:40]!r} is no key, or is there twice."
            )
        metadata[key] = decode_base64(encoded, f"the value of {key[:40]!r}")
    return metadata


def decode_base64(encoded: str, what: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(400, f"{what} must be base64, not {encoded[:40]!r}.") from None


def http_date(seconds: float) -> str:
    """Seconds since 1970 as HTTP writes them (RFC 9110, section 5.6.7)."""
    return formatdate(seconds, usegmt=True)
