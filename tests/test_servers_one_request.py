"""helpers.servers.one_request: bytes in, bytes out."""

from __future__ import annotations

import itertools
from http import HTTPStatus

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.servers.one_request import (
    CHUNK,
    HEAD_LIMIT,
    Refused,
    RequestHead,
    make_response,
)

GET = b"GET /videos/1?quality=hd HTTP/1.1\r\nHost: here\r\n\r\n"


def feed(*parts: bytes) -> str | None:
    head = RequestHead()
    for part in parts:
        head.feed(part)
    return head.path


def refusal(*parts: bytes) -> bytes:
    with pytest.raises(Refused) as refused:
        feed(*parts)
    return refused.value.response


@given(st.lists(st.integers(0, len(GET))))
def test_a_request_in_any_pieces_is_the_same(cuts):
    """The path is known with the last byte of the head, and not before."""
    edges = sorted({0, *cuts, len(GET)})
    pieces = [GET[a:b] for a, b in itertools.pairwise(edges)]
    assert feed(*pieces[:-1]) is None
    assert feed(*pieces) == "/videos/1?quality=hd"


def test_a_client_that_leaves_is_no_request():
    """recv gave nothing, before or in the midst of the head."""
    for parts in ([b""], [GET[:10], b""]):
        with pytest.raises(ConnectionError, match="left before its request was whole"):
            feed(*parts)


@pytest.mark.parametrize(
    "line",
    [
        b"\x16\x03\x01\x02\x00\x01",  # the start of TLS: https on a plain port
        b"GET  / HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET /",
        b"GET nowhere HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"G\xc3\x89T / HTTP/1.1",
        b"GET / HTTP/1.1\nHost: here",
    ],
)
def test_what_is_no_request_gets_400(line):
    """And is shown what it sent."""
    response = refusal(line + b"\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert repr(line)[2:-1].encode()[:20] in response


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"HEAD", b"get"])
def test_another_method_gets_501(method):
    """RFC 9110, section 15.6.2: not known for any resource."""
    response = refusal(method + b" / HTTP/1.1\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 501 Not Implemented\r\n")
    assert b"GET only, not " + method in response


def test_a_head_without_end_is_bounded():
    """431, as soon as it is too long."""
    chunk = b"x" * CHUNK
    assert feed(*[chunk] * (HEAD_LIMIT // CHUNK)) is None
    assert refusal(*[chunk] * (HEAD_LIMIT // CHUNK + 1)).startswith(b"HTTP/1.1 431 ")


@given(st.lists(st.binary(min_size=1)))
def test_random_bytes_are_refused_or_wait_for_more(parts):
    """Whatever comes, nothing else is raised."""
    try:
        assert feed(*parts) is None
    except Refused as refused:
        assert refused.response.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("text", ["", "hello", "größer €", "a\r\n\r\nb", "x" * 100_000])
@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.NOT_IMPLEMENTED])
def test_h11_reads_the_answer(text, status):
    """An implementation that is not ours finds the same text, and an end."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "here")]))
    client.send(h11.EndOfMessage())
    client.receive_data(make_response(text, status))
    answer, body = client.next_event(), b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert answer.status_code == status
    assert (b"connection", b"close") in answer.headers
    assert body.decode() == text


@pytest.mark.parametrize("value", [None, b"bytes", 7])
def test_a_handler_that_returns_no_text_is_told(value):
    """What it returned instead."""
    with pytest.raises(TypeError, match=f"returns text, not {type(value).__name__}"):
        make_response(value)
