"""VideoServer: methods, status codes, preconditions, and what it refuses."""

import asyncio
import json
import socket

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.servers.body import Pace
from helpers.servers.rest import KEPT_KEYS, VideoServer

VIDEO = {"title": "How a kettle polls", "seconds": 95}
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def server():
    with VideoServer() as server:
        yield server
        assert not server.errors


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


def is_problem(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["title"] and document["detail"]
    return document


def converse(server, request: bytes) -> bytes:
    """Send raw bytes; all that comes back until the server closes."""
    with socket.create_connection((server.host, server.port), timeout=20) as sock:
        sock.sendall(request)
        return receive_all(sock)


def is_400(answer: bytes) -> bool:
    """aiohttp does not trust the version of a request that it could not read."""
    return answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))


def receive_all(sock: socket.socket) -> bytes:
    answer = b""
    try:
        while data := sock.recv(65536):
            answer += data
    except ConnectionResetError:
        pass
    return answer


# -- the methods ---------------------------------------------------------------------


def test_seeded(http):
    """/videos/1 exists at the start, with a strong ETag."""
    answer = http.get("/videos/1")
    assert answer.status_code == 200
    assert answer.json()["id"] == 1
    assert answer.headers["ETag"].startswith('"')


def test_head_is_get_without_body(http):
    """HEAD has the header fields of GET and no body."""
    get, head = http.get("/videos/1"), http.head("/videos/1")
    assert head.content == b""
    for name in ("ETag", "Content-Length", "Content-Type"):
        assert head.headers[name] == get.headers[name]


def test_post_creates(http):
    """POST answers 201 with the address of the new video, its ETag and itself."""
    answer = http.post("/videos", json=VIDEO)
    assert answer.status_code == 201
    there = http.get(answer.headers["Location"])
    assert there.json() == answer.json() == {"id": 4, **VIDEO}
    assert there.headers["ETag"] == answer.headers["ETag"]


def test_post_again_creates_again(http):
    """POST is not idempotent: the same body twice makes two videos."""
    first, second = (http.post("/videos", json=VIDEO) for _ in range(2))
    assert first.headers["Location"] != second.headers["Location"]


def test_idempotency_key(http, server):
    """With an Idempotency-Key the second POST gets the first answer, and no video."""
    key = {"Idempotency-Key": '"8e03978e"'}
    first, second = (http.post("/videos", json=VIDEO, headers=key) for _ in range(2))
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(server.videos) == 4


def test_idempotency_key_with_another_body(http):
    """A key that comes with another body is a mistake of the client: 422."""
    key = {"Idempotency-Key": "k"}
    http.post("/videos", json=VIDEO, headers=key)
    is_problem(http.post("/videos", json=VIDEO | {"seconds": 1}, headers=key), 422)


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_idempotency_key_of_bad_length(http, key):
    """An empty or overlong key is refused."""
    answer = http.post("/videos", json=VIDEO, headers={"Idempotency-Key": key})
    is_problem(answer, 400)


def test_idempotency_keys_are_bounded(http, server):
    """Old keys are forgotten, so that the memory for them has a bound."""
    server.max_videos = 10_000
    for number in range(KEPT_KEYS + 5):
        server._remember_answer(f"key {number}", b"", number)
    assert len(server._answers) == KEPT_KEYS


def test_put_replaces(http):
    """PUT on what exists replaces it: 200 and a new ETag."""
    before = http.get("/videos/1").headers["ETag"]
    answer = http.put("/videos/1", json=VIDEO)
    assert answer.status_code == 200
    assert answer.headers["ETag"] != before
    assert http.get("/videos/1").json() == {"id": 1, **VIDEO}


def test_put_creates_and_is_idempotent(http, server):
    """PUT at a free address creates; repeated, it changes nothing more."""
    first, second = (http.put("/videos/77", json=VIDEO) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["Location"] == "/videos/77"
    assert first.headers["ETag"] == second.headers["ETag"]
    assert len(server.videos) == 4


def test_put_takes_back_what_get_gave(http):
    """A representation can be read, changed and put back, its id included."""
    video = http.get("/videos/2").json() | {"seconds": 7}
    assert http.put("/videos/2", json=video).json() == video
    is_problem(http.put("/videos/3", json=video), 422)


def test_ids_are_not_given_twice(http):
    """POST gives neither an id that PUT took nor one that was deleted."""
    http.put("/videos/4", json=VIDEO)
    assert http.post("/videos", json=VIDEO).headers["Location"] == "/videos/5"
    http.delete("/videos/5")
    assert http.post("/videos", json=VIDEO).headers["Location"] == "/videos/6"
    http.put("/videos/999999999", json=VIDEO)
    assert http.get(http.post("/videos", json=VIDEO).headers["Location"])


def test_patch_merges(http):
    """PATCH changes the members that it names and leaves the others."""
    before = http.get("/videos/1").json()
    answer = http.patch("/videos/1", content=b'{"seconds": 5}', headers=MERGE)
    assert answer.status_code == 200
    assert answer.json() == before | {"seconds": 5}


def test_patch_removes_by_null(http):
    """null removes a member (RFC 7396); a video without a title is none."""
    patch = b'{"title": null}'
    is_problem(http.patch("/videos/1", content=patch, headers=MERGE), 422)
    patch = b'{"stars": null}'  # removing what is not there changes nothing
    answer = http.patch("/videos/1", content=patch, headers=MERGE)
    assert answer.json() == http.get("/videos/1").json()


def test_delete_is_idempotent(http, server):
    """DELETE twice: 204, then 404; the effect is that of one."""
    assert http.delete("/videos/1").status_code == 204
    is_problem(http.delete("/videos/1"), 404)
    is_problem(http.get("/videos/1"), 404)
    assert sorted(server.videos) == [2, 3]


def test_collection_by_pages(http):
    """Following `next` from page to page meets every video once."""
    for _ in range(5):
        http.post("/videos", json=VIDEO)
    page, seen = {"next": "/videos?limit=3"}, []
    while "next" in page:
        page = http.get(page["next"]).json()
        seen += [video["id"] for video in page["videos"]]
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]


def test_page_is_bounded(http, server):
    """A page has at most 100 videos, whatever was asked for; 0 gives none."""
    server.videos = dict.fromkeys(range(1, 300), server.videos[1])
    assert len(http.get("/videos?limit=1000").json()["videos"]) == 100
    assert http.get("/videos?limit=0").json() == {"videos": []}


@pytest.mark.parametrize(
    "query", ["limit=x", "after=-1", "limit=", "after=" + "9" * 50]
)
def test_bad_query(http, query):
    """A query that is no number is refused, not ignored."""
    is_problem(http.get(f"/videos?{query}"), 400)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/videos", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/videos/1", {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"}),
    ],
)
def test_allow(http, path, allowed):
    """405 and OPTIONS name the methods, and those are the ones that work."""
    refused = http.request("LOCK", path)
    is_problem(refused, 405)
    options = http.options(path)
    assert options.status_code == 204
    for answer in (refused, options):
        assert set(answer.headers["Allow"].split(", ")) == allowed
    assert ("Accept-Patch" in options.headers) == ("PATCH" in allowed)


@pytest.mark.parametrize("path", ["/", "/videos/0", "/videos/x", "/videos/1/2", "/ü"])
def test_unknown_path(http, path):
    """aiohttp's own 404 is a problem document as well."""
    is_problem(http.get(path), 404)


# -- preconditions -------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
def test_if_none_match(http, form):
    """GET and HEAD with the ETag that the client has: 304 and no body."""
    etag = http.get("/videos/1").headers["ETag"]
    for method in ("GET", "HEAD"):
        asked = {"If-None-Match": form.format(etag)}
        answer = http.request(method, "/videos/1", headers=asked)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == etag


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
@pytest.mark.parametrize("form", ['"other"', "W/{}", "garbage", ""])
def test_if_match_that_does_not_hold(http, method, form):
    """412, and nothing changes; a weak ETag never matches here."""
    before = http.get("/videos/1")
    asked = MERGE if method == "PATCH" else {"Content-Type": "application/json"}
    asked = asked | {"If-Match": form.format(before.headers["ETag"])}
    body = None if method in ("DELETE", "GET") else json.dumps(VIDEO)
    answer = http.request(method, "/videos/1", content=body, headers=asked)
    is_problem(answer, 412)
    assert answer.headers["ETag"] == before.headers["ETag"]
    assert http.get("/videos/1").content == before.content


def test_lost_update_is_prevented(http):
    """Two clients read, both write with If-Match: the second one is told."""
    etag = http.get("/videos/1").headers["ETag"]
    mine = http.put("/videos/1", json=VIDEO, headers={"If-Match": etag})
    assert mine.status_code == 200
    theirs = VIDEO | {"title": "Theirs"}
    is_problem(http.put("/videos/1", json=theirs, headers={"If-Match": etag}), 412)
    assert http.get("/videos/1").json()["title"] == VIDEO["title"]


def test_create_only_where_nothing_is(http):
    """PUT with If-None-Match: * creates, or gets 412 when something is there."""
    asked = {"If-None-Match": "*"}
    is_problem(http.put("/videos/1", json=VIDEO, headers=asked), 412)
    assert http.put("/videos/8", json=VIDEO, headers=asked).status_code == 201


def test_replace_only_what_exists(http, server):
    """PUT with If-Match: * replaces, or gets 412 when nothing is there."""
    asked = {"If-Match": "*"}
    is_problem(http.put("/videos/8", json=VIDEO, headers=asked), 412)
    assert http.put("/videos/1", json=VIDEO, headers=asked).status_code == 200
    assert 8 not in server.videos


def test_missing_comes_before_preconditions(http):
    """A precondition on what does not exist is not looked at (RFC 9110, 13.2.1)."""
    asked = {"If-Match": '"x"'}
    is_problem(http.get("/videos/9", headers=asked), 404)
    is_problem(http.delete("/videos/9", headers=asked), 404)


def test_require_if_match():
    """A server may insist on If-Match: 428 for a change without."""
    with VideoServer(require_if_match=True) as server:
        with httpx.Client(base_url=server.url) as http:
            is_problem(http.delete("/videos/1"), 428)
            is_problem(http.put("/videos/1", json=VIDEO), 428)
            assert http.put("/videos/9", json=VIDEO).status_code == 201
            etag = http.get("/videos/1").headers["ETag"]
            answer = http.delete("/videos/1", headers={"If-Match": etag})
            assert answer.status_code == 204


# -- negotiation and bodies ----------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/*;q=0.1", 200),
        ("text/html, application/json", 200),
        ("text/html", 406),
        ("application/json;q=0, */*", 406),
        ("application/json;q=0.5, */*;q=0", 200),
        ("application/json; q=0.000", 406),
    ],
)
def test_accept(http, accept, status):
    """406 when Accept rules JSON out; the most specific range decides."""
    answer = http.get("/videos/1", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 406:
        is_problem(answer, 406)


def test_wrong_content_type(http):
    """415 names the media type that the resource takes."""
    answer = http.post("/videos", content=b"title=x", headers={"Content-Type": "a/b"})
    is_problem(answer, 415)
    assert answer.headers["Accept"] == "application/json"
    answer = http.patch("/videos/1", json={"seconds": 1})
    is_problem(answer, 415)
    assert answer.headers["Accept-Patch"] == "application/merge-patch+json"
    is_problem(http.put("/videos/1", content=b"{}"), 415)


def test_compressed_body(http):
    """A body that would have to be unpacked is refused before it is."""
    asked = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    is_problem(http.post("/videos", content=b"\x1f\x8b", headers=asked), 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"title": "x", "seconds": NaN}',
        b"[" * 16_000,
        b"9" * 16_000,
        b'{"title": "\x00"}',
    ],
)
def test_not_json(http, body):
    """400 for what is not JSON, however it is not."""
    asked = {"Content-Type": "application/json"}
    is_problem(http.post("/videos", content=body, headers=asked), 400)


@pytest.mark.parametrize(
    "members",
    [
        [],
        None,
        {},
        {"title": "x"},
        {"title": "x", "seconds": 1, "more": 1},
        {"id": 9, "title": "x", "seconds": 1},
        {"title": "", "seconds": 1},
        {"title": "x" * 201, "seconds": 1},
        {"title": 1, "seconds": 1},
        {"title": "x", "seconds": -1},
        {"title": "x", "seconds": True},
        {"title": "x", "seconds": 1.5},
        {"title": "x", "seconds": 10**9},
    ],
)
def test_json_that_is_no_video(http, server, members):
    """422 for well-formed JSON that makes no sense here; nothing is stored."""
    asked = {"Content-Type": "application/json"}
    answer = http.post("/videos", content=json.dumps(members), headers=asked)
    is_problem(answer, 422)
    assert len(server.videos) == 3


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_patch_with_anything(patch):
    """Whatever JSON a merge patch is, the video stays a video."""
    video = VideoServer().videos[1]
    try:
        patched = video.patched({"title": patch}, 1)
    except Exception as error:
        assert getattr(error, "status", None) == 422
    else:
        assert patched.title == patch


def test_body_too_large(http, server):
    """413 for a body beyond the limit, whether or not it says so before."""
    asked = {"Content-Type": "application/json"}
    body = b" " * (server.max_body + 1)
    is_problem(http.post("/videos", content=body, headers=asked), 413)
    chunked = iter([body])
    is_problem(http.post("/videos", content=chunked, headers=asked), 413)


def test_number_of_videos_is_bounded(http, server):
    """507 when there is no room for another one; replacing still works."""
    server.max_videos = 3
    is_problem(http.post("/videos", json=VIDEO), 507)
    is_problem(http.put("/videos/9", json=VIDEO), 507)
    assert http.put("/videos/1", json=VIDEO).status_code == 200


# -- clients that misbehave ----------------------------------------------------------


def test_slow_body():
    """A client that sends a byte now and then gets 408; the server goes on."""

    class Impatient(VideoServer):
        pace = Pace(grace=0.3, rate=1000.0, idle=5.0)

    async def trickle(server) -> bytes:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        head = "POST /videos HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: 1000\r\n\r\n".encode())
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        while not answer.done():
            writer.write(b" ")
            await asyncio.wait({answer}, timeout=0.05)
        writer.close()
        return answer.result()

    with Impatient() as server:
        answer = asyncio.run(trickle(server))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert httpx.get(server.make_url("/videos/1")).status_code == 200


def test_silent_body():
    """A client that falls silent in mid-body gets 408, fast as it was before."""

    class Impatient(VideoServer):
        pace = Pace(grace=60.0, rate=0.001, idle=0.2)

    with Impatient() as server:
        head = b"POST /videos HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        with socket.create_connection((server.host, server.port)) as sock:
            sock.sendall(head + b"Content-Length: 99\r\n\r\n{")
            assert sock.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_slow_head():
    """A request head that does not end closes the connection after `idle`."""

    class Impatient(VideoServer):
        idle = 0.3

    with Impatient() as server:
        assert converse(server, b"GET /videos/1 HTT") == b""
        assert httpx.get(server.make_url("/videos/1")).status_code == 200


MALFORMED = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /videos/1 HTTP/9.9\r\n\r\n",
    b"GET /videos/1 HTTP/1.1\r\nHost x\r\n\r\n",
    b"GET /videos/1 HTTP/1.1\r\nA\x00B: x\r\n\r\n",
    b"GET /videos/1 HTTP/1.1\r\nA: x\x00y\r\n\r\n",
    b"POST /videos HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /videos HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"GET /videos/1 HTTP/1.1\r\nA: " + b"x" * 1_000_000 + b"\r\n\r\n",
    b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /videos/1 HTTP/1.1\r\n" + b"A: x\r\n" * 1000 + b"\r\n",
]


@pytest.mark.parametrize("request_bytes", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_http(request_bytes):
    """What is no HTTP request gets 400 and is closed; the server goes on."""
    with VideoServer() as server:
        try:
            answer = converse(server, request_bytes)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""  # closed on us before we had sent it all
        assert answer == b"" or is_400(answer)
        assert httpx.get(server.make_url("/videos/1")).status_code == 200
        server.errors.clear()


BROKEN_CHUNKS = [b"zz\r\n", b"-1\r\n", b"5\r\nab\r\n\r\n\r\n"]
CHUNKED = (
    b"POST /videos HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize("chunk", BROKEN_CHUNKS)
def test_broken_chunks(chunk):
    """A body whose chunks are none gets 400."""
    with VideoServer() as server:
        head = CHUNKED.replace(b"Expect: 100-continue\r\n", b"")
        assert is_400(converse(server, head + chunk + b"0\r\n\r\n"))
        assert httpx.get(server.make_url("/videos/1")).status_code == 200
        server.errors.clear()


@pytest.mark.parametrize("chunk", BROKEN_CHUNKS)
def test_broken_chunks_in_mid_body(chunk):
    """aiohttp does not tell a handler that its body broke: it gets 400 or 408."""

    class Impatient(VideoServer):
        pace = Pace(grace=0.2)

    with Impatient() as server:
        with socket.create_connection((server.host, server.port)) as sock:
            sock.sendall(CHUNKED)
            assert sock.recv(100).startswith(b"HTTP/1.1 100 ")  # the handler runs
            sock.sendall(chunk + b"0\r\n\r\n")
            assert sock.recv(1000).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 "))
        assert httpx.get(server.make_url("/videos/1")).status_code == 200
        server.errors.clear()


def test_a_failing_handler_is_a_problem_too(capfd):
    """A bug of the server's own is 500 as a problem document, and is kept."""

    class Buggy(VideoServer):
        async def get(self, request):
            raise ZeroDivisionError("a bug")

    with Buggy() as server:
        document = is_problem(httpx.get(server.make_url("/videos/1")), 500)
        assert "ZeroDivisionError" in document["detail"]
        assert isinstance(server.errors[0], ZeroDivisionError)
    assert "a bug" in capfd.readouterr().err
