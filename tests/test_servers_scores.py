"""helpers.servers.scores, by HTTP: polls and streams"""

import contextlib
import json
import socket
import threading
import time

import httpx
import pytest

from helpers.network.endpoint import reset
from helpers.servers.fan_out import Limits
from helpers.servers.scores import ScoreServer
from tests.peers import connect, receive_all, receive_until
from tests.score_clients import begin_reading_nothing, publish

STREAMS = ("/stream", "/lines")


@pytest.fixture
def server():
    with ScoreServer() as server:
        yield server
        assert not server.errors


def ids(answer: httpx.Response) -> list[int]:
    return [event["id"] for event in answer.json()["events"]]


@contextlib.contextmanager
def listening(server, path: str, **headers: str):
    """The lines of a stream, and the response."""
    with httpx.stream(
        "GET", server.make_url(path), headers=headers, timeout=30
    ) as response:
        yield response.iter_lines(), response


def documents(lines, count: int) -> list[dict]:
    """The next JSON objects of a stream of either form."""
    found = []
    while len(found) < count:
        line = next(lines).removeprefix("data: ")
        if line.startswith("{"):
            found.append(json.loads(line))
    return found


def until(lines, wanted: str) -> list[str]:
    """The lines up to the wanted one."""
    before = []
    for line in lines:
        if line == wanted:
            return before
        before.append(line)
    raise AssertionError(f"the stream ended without {wanted!r}: {before[-5:]}")


# -- polls -----------------------------------------------------------------------------


def test_a_short_poll_answers_at_once(server):
    """With what is newer than ``since``; without it, with all that is kept."""
    publish(server, 3)
    url = server.make_url("/events")
    assert ids(httpx.get(url)) == [1, 2, 3]
    assert ids(httpx.get(url, params={"since": 2})) == [3]
    empty = httpx.get(url, params={"since": 3})
    assert empty.json() == {"events": [], "last": 3, "missed": 0}
    assert empty.headers["Cache-Control"] == "no-store"


def test_a_poll_goes_on_where_the_one_before_ended(server):
    """An answer is bounded; ``last`` leads from one to the next."""
    publish(server, 250)
    seen, last = [], 0
    while last < 250:
        answer = httpx.get(server.make_url(f"/events?since={last}"))
        assert 0 < len(ids(answer)) <= 100
        seen += ids(answer)
        last = answer.json()["last"]
    assert seen == list(range(1, 251))


def test_a_long_poll_is_held_until_there_is_news(server, wait_until):
    """It hangs while nothing happens, and answers with what does."""
    answers = []
    url = server.make_url("/events?since=0&wait=25")
    client = threading.Thread(target=lambda: answers.append(httpx.get(url, timeout=60)))
    client.start()
    wait_until(lambda: server.subscribers == 1)
    assert not answers
    publish(server, 1)
    client.join(20)
    assert ids(answers[0]) == [1]


def test_a_long_poll_with_news_is_not_held(server):
    """What came between two polls is there at once."""
    publish(server, 2)
    began = time.monotonic()
    assert ids(httpx.get(server.make_url("/events?since=1&wait=25"))) == [2]
    assert time.monotonic() - began < 20


def test_a_long_poll_is_held_no_longer_than_its_bound():
    """The server's bound holds against a client that asks for more."""
    with ScoreServer(max_wait=0.2) as server:
        began = time.monotonic()
        answer = httpx.get(server.make_url("/events?since=0&wait=1000"), timeout=60)
        assert time.monotonic() - began >= 0.2
    assert answer.json() == {"events": [], "last": 0, "missed": 0}


def test_a_poll_of_who_fell_off_says_so():
    """How many events are gone; null when the number was never given out."""
    with ScoreServer(history=4) as server:
        publish(server, 10)
        answer = httpx.get(server.make_url("/events?since=2&wait=5"))
        assert (answer.json()["missed"], ids(answer)) == (4, [7, 8, 9, 10])
        unknown = httpx.get(server.make_url("/events?since=99&wait=5"))
        assert (unknown.json()["missed"], ids(unknown)) == (None, [7, 8, 9, 10])


@pytest.mark.parametrize(
    "query",
    ["since=x", "since=-1", "since=", "wait=x", "wait=-1", "wait=nan", "wait=inf"],
)
def test_a_parameter_that_is_none_is_refused(server, query):
    """400, and the detail names it."""
    answer = httpx.get(server.make_url(f"/events?{query}"))
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(query.split("=")[0])


# -- streams ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_sends_what_comes_from_now_on(server, wait_until, path):
    """In order, in chunks, and nothing of what was before."""
    publish(server, 5)
    with listening(server, path) as (lines, response):
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.headers["Cache-Control"] == "no-store"
        wait_until(lambda: server.subscribers == 1)
        # It is told apart from "catching up" by the first event that reaches it.
        publish(server, 3)
        assert [event["id"] for event in documents(lines, 3)] == [6, 7, 8]
    wait_until(lambda: server.subscribers == 0)


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_takes_since(server, path):
    """What is kept after that number first, then what comes."""
    publish(server, 250)
    with listening(server, f"{path}?since=40") as (lines, _):
        assert [event["id"] for event in documents(lines, 210)] == list(range(41, 251))
        publish(server, 1)
        assert documents(lines, 1)[0]["id"] == 251


def test_an_event_stream_has_id_event_and_data(server):
    """It opens with the time to wait before a reconnect."""
    publish(server, 1, score=[1, 0])
    with listening(server, "/stream?since=0") as (lines, response):
        assert response.headers["Content-Type"] == "text/event-stream"
        assert [next(lines) for _ in range(4)] == [
            "retry: 1000",
            "",
            "id: 1",
            "event: goal",
        ]
        assert json.loads(next(lines).removeprefix("data: "))["score"] == [1, 0]


def test_last_event_id_counts_more_than_the_address(server):
    """An EventSource reconnects to the address that it was made with."""
    publish(server, 9)
    with listening(server, "/stream?since=1", **{"Last-Event-ID": "7"}) as (lines, _):
        assert [event["id"] for event in documents(lines, 2)] == [8, 9]


def test_a_cut_stream_resumes_without_loss_or_repetition(server):
    """Whoever comes back with the last id it saw gets the rest."""
    seen, last = [], {}
    for _ in range(4):
        publish(server, 10)
        with listening(server, "/stream?since=0", **last) as (lines, _):
            seen += [event["id"] for event in documents(lines, 7)]
        last = {"Last-Event-ID": str(seen[-1])}
    assert seen == list(range(1, 29))


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_tells_who_fell_off(path):
    """First how many are gone, without an id, then what is kept."""
    with ScoreServer(history=4) as server:
        publish(server, 10)
        with listening(server, f"{path}?since=2") as (lines, _):
            missed, *events = documents(lines, 5)
        assert missed == {"kind": "missed", "missed": 4}
        assert [event["id"] for event in events] == [7, 8, 9, 10]


def test_a_silent_stream_has_heartbeats():
    """A comment, which makes no event; an empty line among JSON lines."""
    with ScoreServer(heartbeat=0.02) as server:
        with listening(server, "/stream") as (lines, _):
            assert until(lines, ": heartbeat") == ["retry: 1000", ""]
            assert until(lines, ": heartbeat") == [""]
        with listening(server, "/lines") as (lines, _):
            assert [next(lines), next(lines)] == ["", ""]


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_has_a_lifetime(path, wait_until):
    """It ends in good order, and its client comes back for the rest."""
    with ScoreServer(lifetime=0.2) as server:
        publish(server, 3)
        answer = httpx.get(server.make_url(f"{path}?since=0"), timeout=30)
        assert answer.text.count('"id":') == 3
        publish(server, 1)
        answer = httpx.get(server.make_url(f"{path}?since=3"), timeout=30)
        assert answer.text.count('"id":') == 1
        wait_until(lambda: server.subscribers == 0)


@pytest.mark.parametrize("path", STREAMS)
def test_a_bad_last_event_id_is_refused(server, path):
    """400; an EventSource then gives up, instead of asking the same for ever."""
    headers = {"Last-Event-ID": "abc"}
    answer = httpx.get(server.make_url(path), headers=headers)
    assert answer.status_code == 400
    assert "Last-Event-ID" in answer.json()["detail"]


def test_a_stream_has_no_head(server):
    """405: there is no end whose length HEAD could tell."""
    assert httpx.head(server.make_url("/stream")).status_code == 405


def test_http_1_0_gets_the_stream_without_chunks(server, wait_until):
    """The end of the connection ends the body there."""
    publish(server, 1)
    with connect((server.host, server.port)) as sock:
        sock.sendall(b"GET /lines?since=0 HTTP/1.0\r\n\r\n")
        wait_until(lambda: server.subscribers == 1)
        server.publish("card")
        wait_until(lambda: server.last_id == 2)
        server.stop()
        head, body = receive_all(sock).split(b"\r\n\r\n", 1)
    assert b"chunked" not in head
    assert [json.loads(line)["id"] for line in body.splitlines()] == [1, 2]


def test_no_place_is_left(wait_until):
    """503 says when to come back; who leaves makes room."""
    with ScoreServer(limits=Limits(subscribers=1)) as server:
        with listening(server, "/stream"):
            wait_until(lambda: server.subscribers == 1)
            refused = httpx.get(server.make_url("/lines"))
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            held = httpx.get(server.make_url("/events?since=0&wait=5"))
            assert held.status_code == 503
            assert httpx.get(server.make_url("/events")).status_code == 200
        wait_until(lambda: server.subscribers == 0)
        with listening(server, "/stream?since=0") as (lines, _):
            publish(server, 1)
            assert documents(lines, 1)[0]["id"] == 1


# -- clients that do not read ----------------------------------------------------------


def leave_unread(server, path: str) -> socket.socket:
    """A client that asks for a stream and then leaves it lie."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"
    return begin_reading_nothing((server.host, server.port), request)


@pytest.mark.parametrize("path", STREAMS)
def test_a_client_that_never_reads_does_not_grow_the_server(wait_until, path):
    """It is dropped, told so, and all that ever waited for it is within the bound."""
    with ScoreServer(limits=Limits(unsent=50_000, patience=60)) as server:
        with leave_unread(server, path) as sock:
            wait_until(lambda: server.subscribers == 1)
            with listening(server, "/stream?since=0") as (lines, _):
                sent = 0
                while not server.dropped:
                    sent += 1
                    publish(server, 1, text="x" * 2000)
                    # The other one reads all the while, and is not held up.
                    assert documents(lines, 1)[0]["id"] == sent
                    assert sent < 5000
            (dropped,) = server.dropped
            # The kernel's two buffers, ours, and the message that said good-bye.
            received = receive_until(sock, b"0\r\n\r\n")
            assert len(received) < 50_000 + 600_000
            assert b'"kind":"dropped","reason":"too slow' in received[-500:]
            assert b'"since":%d' % dropped.last_id in received[-500:]
        wait_until(lambda: server.subscribers == 0)


@pytest.mark.parametrize("since", ["", "?since=0"])
def test_a_client_that_never_reads_is_cut_off(wait_until, since):
    """When it does not even read the good-bye; live or while it catches up."""
    limits = Limits(unsent=50_000, patience=0.2)
    with ScoreServer(limits=limits) as server:
        publish(server, 1000, text="x" * 3000)
        with leave_unread(server, f"/stream{since}"):
            wait_until(lambda: server.subscribers == 1 or server.dropped)
            while not server.dropped:
                publish(server, 1, text="x" * 3000)
                time.sleep(0.001)
            wait_until(lambda: server.subscribers == 0)
        assert not server.errors


@pytest.mark.parametrize("path", [*STREAMS, "/events?since=0&wait=20"])
def test_a_client_that_is_gone_at_once_is_no_error(server, wait_until, path):
    """A browser that closes a page leaves such requests behind."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for number in range(100):
        sock = connect((server.host, server.port))
        sock.sendall(request)
        (reset if number % 2 else socket.socket.close)(sock)
    wait_until(lambda: server.requests >= 1 and server.subscribers == 0)
    assert httpx.get(server.make_url("/events")).status_code == 200


# -- life ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*STREAMS, "/events?since=0&wait=25"])
def test_stop_ends_what_is_open(wait_until, path):
    """In good order: the last chunk, or an empty answer; and within its time."""
    server = ScoreServer().start()
    ended = []

    def listen():
        ended.append(httpx.get(server.make_url(path), timeout=60))

    client = threading.Thread(target=listen)
    client.start()
    wait_until(lambda: server.subscribers == 1)
    server.stop(patience=4)
    client.join(20)
    assert ended[0].status_code == 200


def test_stop_does_not_wait_for_who_never_reads(wait_until):
    """Streams that are stuck are cut; stop() would raise if it took too long."""
    with ScoreServer(limits=Limits(unsent=10**9, patience=60)) as server:
        publish(server, 1000, text="x" * 3000)
        stuck = [
            leave_unread(server, path)
            for path in ("/stream", "/lines", "/stream?since=0", "/lines?since=0")
        ]
        wait_until(lambda: server.subscribers == len(stuck))
        publish(server, 300, text="x" * 3000)
        server.stop(patience=4)
        for sock in stuck:
            sock.close()
    assert not server.errors


@pytest.mark.parametrize("name", ["port", "websocket_port"])
def test_a_port_that_is_taken(name, wait_until):
    """start() says so, and leaves neither listener behind; a second try succeeds."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ScoreServer(**{name: taken.getsockname()[1]})
        with pytest.raises(OSError, match="in use"):
            server.start()
        assert not server.running
        assert not server.sockets.running
    # Free again, unless another test has got that very port meanwhile.
    wait_until(lambda: starts(server), patience=60)
    with server:
        assert httpx.get(server.make_url("/events")).status_code == 200


def starts(server: ScoreServer) -> bool:
    try:
        server.start()
    except OSError:
        return False
    return True


def test_the_list_outlives_a_stop():
    """A restart goes on with the numbers, at the same two addresses."""
    server = ScoreServer()
    with server:
        publish(server, 2)
        addresses = server.url, server.sockets.url
    with server:
        assert (server.url, server.sockets.url) == addresses
        assert server.publish("goal").id == 3
        assert ids(httpx.get(server.make_url("/events?since=1"))) == [2, 3]


def test_publish_needs_a_server_that_runs():
    """The error says what to do."""
    with pytest.raises(RuntimeError, match="does not run"):
        ScoreServer().publish("goal")


def test_publish_from_many_threads(server):
    """No number is given twice, and all arrive in their order."""
    threads = [threading.Thread(target=publish, args=(server, 100)) for _ in range(5)]
    with listening(server, "/lines?since=0") as (lines, _):
        for thread in threads:
            thread.start()
        arrived = [event["id"] for event in documents(lines, 500)]
        for thread in threads:
            thread.join()
    assert arrived == list(range(1, 501))
    assert [event.id for event in server.events] == arrived


def test_publish_from_threads_while_the_server_plays(wait_until):
    """What its own loop publishes never overtakes what a thread did before."""
    with ScoreServer(every=0.001, history=100_000) as server:
        threads = [
            threading.Thread(target=publish, args=(server, 200)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: len(server.events) == server.last_id, patience=30)
        kept = [event.id for event in server.events]
    assert kept == list(range(1, len(kept) + 1)) and len(kept) > 600


def test_the_same_seed_plays_the_same_events(wait_until):
    """Kinds and facts, and the numbers; not the moments of a clock."""
    played = []
    for _ in range(2):
        with ScoreServer(every=0.002, seed=5) as server:
            wait_until(lambda server=server: server.last_id >= 20)
        played.append([(e.id, e.kind, e.facts) for e in server.events[:20]])
    assert played[0] == played[1]


def test_an_event_is_born_before_it_arrives(server):
    """Its moment is of the clock that the client has too."""
    with listening(server, "/stream?since=0") as (lines, _):
        before = time.perf_counter()
        server.publish("goal")
        born = documents(lines, 1)[0]["born"]
        assert before <= born <= time.perf_counter()


def test_it_says_where_the_websocket_is(server):
    """For a client that knows the first port only."""
    place = httpx.get(server.make_url("/websocket")).json()
    assert place == {
        "port": server.sockets.port,
        "url": f"ws://127.0.0.1:{server.sockets.port}/",
    }


def test_it_runs_as_a_process_of_its_own():
    """And tells the address of its WebSocket there too."""
    with ScoreServer.in_process(every=0.01, seed=1) as server:
        answer = httpx.get(server.make_url("/events?since=0&wait=20"), timeout=60)
        assert ids(answer)[0] == 1
        assert httpx.get(server.make_url("/websocket")).json()["port"] > 0


@pytest.mark.parametrize("name", ["every", "heartbeat", "lifetime"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_pace_that_is_none_is_refused(name, value):
    """The error names the parameter and its unit."""
    with pytest.raises(ValueError, match=f"{name} is in seconds"):
        ScoreServer(**{name: value})


# -- pages -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/six-streams"])
def test_a_page_needs_nothing_from_elsewhere(server, path):
    """What it loads is there, by relative addresses: it works behind a proxy's path."""
    page = httpx.get(server.make_url(path))
    assert page.headers["Content-Type"].startswith("text/html")
    links = [
        part.split('"')[0]
        for part in page.text.replace("src=", "href=").split('href="')[1:]
    ]
    assert [link for link in links if link.endswith((".css", ".js"))]
    for link in links:
        if link.startswith("data:"):
            continue
        assert not link.startswith(("/", "http:", "https:", "ws:"))
        assert httpx.get(server.make_url("/" + link)).status_code == 200
