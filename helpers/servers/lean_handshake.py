"""A WebSocket's handshake, as the lean servers answer it (RFC 6455, section 4.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from http import HTTPStatus

from helpers.servers.origin import is_allowed

__all__ = ["FULL", "Refused", "answer_handshake"]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Refused(Exception):
    """The handshake is none, or not welcome; ``response`` says why."""

    def __init__(self, status: int, reason: str, *headers: str) -> None:
        super().__init__(reason)
        self.response = refusal(status, reason, *headers)


def answer_handshake(head: bytes) -> bytes:
    """The 101 for a request's head. Raises Refused, with the response to send."""
    request_line, *lines = head.decode("latin-1").split("\r\n")
    if not request_line.startswith("GET /") or not request_line.endswith(" HTTP/1.1"):
        raise Refused(400, "A WebSocket begins with: GET /... HTTP/1.1")
    headers = _headers(lines)
    asks = "websocket" in _tokens(headers, "upgrade")
    if not asks or "upgrade" not in _tokens(headers, "connection"):
        raise Refused(426, "Only WebSockets are spoken here.", "Upgrade: websocket")
    if headers.get("sec-websocket-version") != "13":
        raise Refused(426, "The version is 13.", "Sec-WebSocket-Version: 13")
    host, key = headers.get("host"), headers.get("sec-websocket-key", "")
    if host is None or not _is_key(key):
        raise Refused(400, "Host and a Sec-WebSocket-Key of 16 bytes are needed.")
    if not is_allowed(headers.get("origin"), host):
        raise Refused(403, "A page of another origin may not connect.")
    accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
    )


def refusal(status: int, reason: str, *headers: str) -> bytes:
    """An HTTP response that ends the connection."""
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: text/plain",
        f"Content-Length: {len(reason) + 1}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", f"{reason}\n"]).encode()


def _headers(lines: list[str]) -> dict[str, str]:
    """By name in small letters; those of one name joined (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Refused(400, "A header line is 'Name: value'.")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _tokens(headers: dict[str, str], name: str) -> list[str]:
    return [token.strip().lower() for token in headers.get(name, "").split(",")]


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


FULL = refusal(503, "All places are taken. Come back in a while.", "Retry-After: 5")
