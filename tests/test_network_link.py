"""helpers/network/link.py and pair.py: the line between a client and a server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import resource
import socket
import threading
import time

import pytest

from helpers.network.capture import Direction, Event
from helpers.network.link import Link
from helpers.server import running
from tests.peers import Sink, connect, echo, receive, receive_all, serving
from tests.test_server import Hello

MEBIBYTE = 1024 * 1024
REFUSED = (ConnectionRefusedError, ConnectionResetError)


def address(link: Link) -> tuple[str, int]:
    return link.host, link.port


def send_all(sock: socket.socket, data: bytes, chunk: int = 65536) -> OSError | None:
    """Send in chunks until all is out; the error that stopped it, if one did."""
    try:
        for start in range(0, len(data), chunk):
            sock.sendall(data[start : start + chunk])
    except OSError as error:
        return error
    return None


def wait_for_end(sock: socket.socket) -> OSError | None:
    """Read until the other end closes: None for a FIN, the error for a reset."""
    try:
        receive_all(sock)
    except OSError as error:
        return error
    return None


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


# -- a link that adds nothing --------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_bytes_pass_both_ways(host):
    """Over IPv4 and over IPv6."""
    with serving(echo, host=host) as target, Link(target, host=host) as link:
        with connect(address(link)) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"


def test_an_ipv4_link_may_lead_to_an_ipv6_server():
    """Its two sides are two connections."""
    with serving(echo, host="::1") as target, Link(target) as link:
        with connect(address(link)) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"


def test_the_server_may_speak_first():
    """As in SMTP, MySQL or a WebSocket's pushes."""
    with serving(lambda peer: peer.sendall(b"220 ready")) as target:
        with Link(target, latency=0.001) as link, connect(address(link)) as client:
            assert receive_all(client) == b"220 ready"


FAULTLESS = {
    "transparent": {},
    "delayed": {"latency": 0.01, "jitter": 0.005, "bandwidth": 40e6},
}


@pytest.mark.parametrize("settings", FAULTLESS.values(), ids=FAULTLESS)
def test_twenty_megabytes_arrive_unchanged(settings):
    """Both ways at once, whatever the settings, in order and whole."""
    data = random.Random(1).randbytes(20 * MEBIBYTE)
    with serving(echo) as target, Link(target, **settings) as link:
        with connect(address(link)) as client:

            def send() -> None:
                send_all(client, data, chunk=100_003)
                client.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            received = hashlib.sha256(receive_all(client)).digest()
            sender.join()
        assert received == hashlib.sha256(data).digest()
        assert link.capture.bytes_to_server == link.capture.bytes_to_client == len(data)


@pytest.mark.parametrize("settings", FAULTLESS.values(), ids=FAULTLESS)
def test_many_small_writes_arrive_in_order(settings):
    """Jitter delays, and never reorders: TCP delivers in order."""
    data = b"".join(b"%06d\n" % n for n in range(5_000))
    with serving(echo) as target, Link(target, **settings) as link:
        with connect(address(link)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert send_all(client, data, chunk=7) is None
            client.shutdown(socket.SHUT_WR)
            assert receive_all(client) == data


def test_a_thousand_connections_at_once():
    """Each gets its own bytes back."""
    with serving(echo) as target, Link(target) as link, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(address(link))) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.sendall(b"%04d" % number)
        for number, client in enumerate(clients):
            assert receive(client, 4) == b"%04d" % number
        assert link.capture.connections == link.requests == 1000


def test_what_a_client_received_is_in_the_capture():
    """A link sends first and records then; who reads the capture does not see it."""
    with serving(echo) as target, Link(target) as link:
        with connect(address(link)) as client:
            for number in range(1, 300):
                client.sendall(b"x")
                receive(client, 1)
                assert link.capture.bytes_to_client == number
                assert link.capture.round_trips == 1 + number


# -- delay ---------------------------------------------------------------------------


def round_trip(link: Link, client: socket.socket) -> float:
    begun = time.perf_counter()
    client.sendall(b"x")
    assert receive(client, 1) == b"x"
    return time.perf_counter() - begun


def test_latency_adds_both_ways():
    """A round trip takes at least twice the latency, a new connection four times."""
    latency = 0.03
    with serving(echo) as target, Link(target, latency=latency) as link:
        begun = time.perf_counter()
        with connect(address(link)) as client:
            round_trip(link, client)
            first = time.perf_counter() - begun
            later = min(round_trip(link, client) for _ in range(5))
        assert first >= 4 * latency
        assert 2 * latency <= later < first


def test_jitter_adds_up_to_its_bound():
    """The delay of each chunk in the capture lies between latency and both."""
    with serving(echo) as target, Link(target, latency=0.01, jitter=0.02) as link:
        with connect(address(link)) as client:
            for _ in range(10):
                round_trip(link, client)
        delays = [c.arrived - c.sent for c in link.capture if c.event is Event.DATA]
        assert min(delays) >= 0.01
        assert max(delays) - min(delays) > 0.001


@pytest.mark.parametrize("clients", [1, 3])
def test_bandwidth_is_a_bound_that_connections_share(clients):
    """All bytes over all of the time stay below it, and all arrive."""
    bandwidth, size = 2e6, 600_000 // clients
    sinks = [Sink() for _ in range(clients)]
    waiting = list(sinks)
    with serving(lambda peer: waiting.pop()(peer)) as target:
        with Link(target, bandwidth=bandwidth) as link, contextlib.ExitStack() as stack:
            begun = time.perf_counter()
            for _ in range(clients):
                client = stack.enter_context(connect(address(link)))
                send_all(client, bytes(size))
                client.shutdown(socket.SHUT_WR)
            for sink in sinks:
                assert sink.ended.wait(30)
            took = time.perf_counter() - begun
            assert all(len(sink.received) == size for sink in sinks)
            assert clients * size / took <= bandwidth * 1.02


def test_settings_change_while_it_runs():
    """The next bytes meet the new line, on connections that are open too."""
    with serving(echo) as target, Link(target) as link:
        with connect(address(link)) as client:
            round_trip(link, client)
            link.latency = 0.05
            assert round_trip(link, client) >= 0.1
            link.latency = 0.0
            assert min(round_trip(link, client) for _ in range(20)) < 0.1
            link.cut_after = link.capture.bytes_to_server * 2 + 3
            client.sendall(b"abcdef")
            assert isinstance(wait_for_end(client), ConnectionResetError)


def test_an_endless_latency_is_a_silent_line():
    """Nothing arrives, and the link can still be stopped."""
    with serving(echo) as target, Link(target) as link:
        with connect(address(link)) as client:
            round_trip(link, client)
            link.latency = float("inf")
            client.sendall(b"x")
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(1)


BAD_SETTINGS = [
    ({"latency": -1}, "latency is in seconds, zero or more; not -1"),
    ({"latency": "20 ms"}, "latency is in seconds, zero or more; not '20 ms'"),
    ({"jitter": float("nan")}, "jitter is in seconds"),
    ({"bandwidth": 0}, "bandwidth is above zero, or None for no limit; not 0"),
    ({"cut_after": 0}, "cut_after is in bytes, 1 or more, or None; not 0"),
    ({"cut_after_seconds": -2}, "cut_after_seconds is above zero"),
    ({"cut_every": 0}, "cut_every is above zero"),
    ({"stall_after": -5}, "stall_after is in bytes"),
    ({"stall": -5}, "stall is in seconds"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS)
def test_a_bad_setting_is_named(settings, message):
    """The error says which, what it may be, and what it was."""
    with pytest.raises(ValueError, match=message):
        Link(("127.0.0.1", 1), **settings)


def test_a_bad_setting_changes_nothing():
    """The old value stays."""
    link = Link(("127.0.0.1", 1), latency=0.5)
    with pytest.raises(ValueError, match="latency"):
        link.latency = None
    assert link.latency == 0.5


@pytest.mark.parametrize("target", ["127.0.0.1:80", "http://x", 80, ("a", 1, 2)])
def test_a_bad_target_is_refused(target):
    """The error shows what a target looks like."""
    with pytest.raises(ValueError, match="a link leads to a server"):
        Link(target)


# -- cuts ----------------------------------------------------------------------------


@pytest.mark.parametrize("settings", FAULTLESS.values(), ids=FAULTLESS)
@pytest.mark.parametrize("cut_after", [1, 1000, 3_000_000])
def test_cut_after_lets_exactly_so_many_bytes_through(settings, cut_after):
    """The server has them all, then a reset; the client meets a reset too."""
    sink, data = Sink(), random.Random(2).randbytes(4_000_000)
    with serving(sink) as target:
        with Link(target, cut_after=cut_after, **settings) as link:
            with connect(address(link)) as client:
                send_all(client, data)
                assert isinstance(wait_for_end(client), ConnectionError | None)
            assert sink.ended.wait(30)
            assert bytes(sink.received) == data[:cut_after]
            assert isinstance(sink.error, ConnectionResetError)
            assert link.capture.bytes_to_server == cut_after


def test_cut_after_counts_both_directions():
    """Of an echo of 10 bytes, half of the answer is through at 15."""
    with serving(echo) as target, Link(target, cut_after=15) as link:
        with connect(address(link)) as client:
            client.sendall(b"0123456789")
            assert receive(client, 5) == b"01234"
            with pytest.raises(ConnectionResetError):
                receive(client, 1)


def test_a_slow_reader_still_gets_what_crossed_before_a_cut():
    """A reset must not overtake bytes that wait in the link's own buffers."""
    release, received = threading.Event(), bytearray()

    def read_late(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        release.wait(30)
        with contextlib.suppress(ConnectionError):
            while data := peer.recv(4096):
                received.extend(data)

    with serving(read_late) as target, Link(target, cut_after=1_000_000) as link:
        with connect(address(link)) as client:
            threading.Timer(0.1, release.set).start()
            send_all(client, bytes(2_000_000))
            wait_for_end(client)
    assert len(received) == 1_000_000


def test_cut_after_seconds_cuts_each_connection(wait_until):
    """Not before its time, and the next one lives as long again."""
    with serving(echo) as target, Link(target, cut_after_seconds=0.1) as link:
        for _ in range(2):
            begun = time.perf_counter()
            with connect(address(link)) as client:
                round_trip(link, client)
                assert isinstance(wait_for_end(client), ConnectionResetError)
            assert time.perf_counter() - begun >= 0.09


def cut_positions(chunk: int, seed: int, **settings) -> list[int]:
    """How many bytes each of ten connections got through a link that cuts."""
    sizes = []
    with serving(lambda peer: sinks[-1](peer)) as target:
        with Link(target, cut_every=20_000, seed=seed, **settings) as link:
            for _ in range(10):
                sinks = [sink := Sink()]
                with connect(address(link)) as client:
                    send_all(client, bytes(400_000), chunk)
                    wait_for_end(client)
                assert sink.ended.wait(30)
                sizes.append(len(sink.received))
    return sizes


def test_cut_every_replays_from_its_seed():
    """At the same bytes, however they are chunked or delayed; another seed differs."""
    first = cut_positions(chunk=65536, seed=1)
    assert cut_positions(chunk=1009, seed=1, latency=0.001, bandwidth=50e6) == first
    assert cut_positions(chunk=65536, seed=2) != first
    assert len(set(first)) > 1


def test_a_link_that_starts_again_meets_the_same_faults():
    """So that a cell run twice shows the same."""
    sink = Sink()
    with serving(lambda peer: sink(peer)) as target:
        link, sizes = Link(target, cut_every=5_000, seed=3), []
        for _ in range(2):
            sink = Sink()
            with link, connect(address(link)) as client:
                send_all(client, bytes(400_000))
                assert sink.ended.wait(30)
                sizes.append(len(sink.received))
                assert link.requests == 1
    assert sizes[0] == sizes[1]


def test_cut_breaks_what_is_open_now():
    """And lets the next connection through."""
    with serving(echo) as target, Link(target) as link:
        with connect(address(link)) as client:
            round_trip(link, client)
            link.cut()
            assert isinstance(wait_for_end(client), ConnectionResetError)
        with connect(address(link)) as client:
            round_trip(link, client)
        assert [c.event for c in link.capture].count(Event.CUT) == 1


def test_what_a_cut_lost_is_recorded_as_lost():
    """Bytes that entered the link and did not arrive."""
    with serving(Sink()) as target, Link(target, latency=0.2, cut_after=100) as link:
        with connect(address(link)) as client:
            client.sendall(bytes(150))
            wait_for_end(client)
        lost = [c for c in link.capture if c.lost]
        assert sum(crossing.size for crossing in lost) == 50
        assert link.capture.bytes_to_server == 100


# -- stalls --------------------------------------------------------------------------


def test_a_stalled_line_is_silent_and_stays_open():
    """Nothing moves in the block, and nothing is lost behind it."""
    with serving(echo) as target, Link(target) as link:
        with connect(address(link)) as client:
            round_trip(link, client)
            with link.stalled():
                client.sendall(b"later")
                client.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    client.recv(1)
            client.settimeout(30)
            assert receive(client, 5) == b"later"


@pytest.mark.parametrize("settings", FAULTLESS.values(), ids=FAULTLESS)
def test_stall_after_lets_exactly_so_many_bytes_through(settings, wait_until):
    """Then nothing moves for a while, then all the rest."""
    sink, data = Sink(), random.Random(4).randbytes(500_000)
    settings = {"stall_after": 12_345, "stall": 0.3} | settings
    with serving(sink) as target, Link(target, **settings) as link:
        with connect(address(link)) as client:
            sender = threading.Thread(target=send_all, args=(client, data))
            sender.start()
            wait_until(lambda: any(c.event is Event.STALL for c in link.capture))
            assert link.capture.bytes_to_server == 12_345
            sender.join()
        assert sink.ended.wait(30)
        assert bytes(sink.received) == data
        stall = next(c for c in link.capture if c.event is Event.STALL)
        data_after = [
            c
            for c in link.capture
            if c.event is Event.DATA and c.arrived > stall.arrived
        ]
        assert min(c.arrived for c in data_after) - stall.arrived >= 0.3


def test_a_link_stopped_while_stalled_starts_unstalled():
    """The stall belonged to its former life."""
    with serving(echo) as target:
        link = Link(target)
        with link, link.stalled():
            link.stop()
            with link, connect(address(link)) as client:
                round_trip(link, client)
        with link, connect(address(link)) as client:
            round_trip(link, client)


def test_what_needs_a_running_link_says_so():
    """cut() and stalled() on a stopped link."""
    link = Link(("127.0.0.1", 1))
    with pytest.raises(RuntimeError, match="Link does not run: start it"):
        link.cut()
    with pytest.raises(RuntimeError, match="Link does not run"), link.stalled():
        pass


# -- what ends pass on ---------------------------------------------------------------


@pytest.mark.parametrize("settings", FAULTLESS.values(), ids=FAULTLESS)
def test_a_half_close_passes(settings):
    """The client has said all; the server hears it, and still answers."""

    def count(peer: socket.socket) -> None:
        peer.sendall(b"%d bytes" % len(receive_all(peer)))

    with serving(count) as target, Link(target, **settings) as link:
        with connect(address(link)) as client:
            client.sendall(bytes(1000))
            client.shutdown(socket.SHUT_WR)
            assert receive_all(client) == b"1000 bytes"


@pytest.mark.parametrize("settings", FAULTLESS.values(), ids=FAULTLESS)
def test_a_reset_by_the_client_reaches_the_server(settings):
    """As a reset, behind the bytes that were sent before."""
    sink = Sink()
    with serving(sink) as target, Link(target, **settings) as link:
        client = connect(address(link))
        client.sendall(b"before")
        reset(client)
        assert sink.ended.wait(30)
        assert isinstance(sink.error, ConnectionResetError)
        assert bytes(sink.received) in (b"", b"before")


@pytest.mark.parametrize("settings", FAULTLESS.values(), ids=FAULTLESS)
def test_a_reset_by_the_server_reaches_the_client(settings):
    """As a reset, not as an end in good order."""

    def break_off(peer: socket.socket) -> None:
        receive(peer, 1)
        reset(peer)

    with serving(break_off) as target, Link(target, **settings) as link:
        with connect(address(link)) as client:
            client.sendall(b"x")
            assert isinstance(wait_for_end(client), ConnectionResetError)
        assert Event.RESET in [crossing.event for crossing in link.capture]


def test_an_answer_before_a_reset_still_arrives():
    """A server may refuse an upload and close: directly the answer is readable."""

    def refuse(peer: socket.socket) -> None:
        receive(peer, 1)
        peer.sendall(b"413 too large")
        reset(peer)

    with serving(refuse) as target, Link(target, latency=0.02) as link:
        with connect(address(link)) as client:
            send_all(client, bytes(200_000), chunk=1000)
            assert receive(client, 13) == b"413 too large"
            assert isinstance(wait_for_end(client), ConnectionResetError)


@pytest.mark.parametrize("settings", FAULTLESS.values(), ids=FAULTLESS)
def test_a_server_that_does_not_read_stops_the_sender(settings, wait_until):
    """Backpressure: the link holds a bounded part, the sender waits."""
    release, sink = threading.Event(), Sink()

    def read_late(peer: socket.socket) -> None:
        release.wait(30)
        sink(peer)

    size = 64 * MEBIBYTE
    with serving(read_late) as target, Link(target, **settings) as link:
        with connect(address(link)) as client:
            client.setblocking(False)
            sent, quiet_since = 0, time.monotonic()
            while time.monotonic() - quiet_since < 0.5 and sent < size:
                try:
                    sent += client.send(bytes(65536))
                    quiet_since = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.01)
            assert sent < size
            queued = sum(flow.queued for pair in link.pairs for flow in pair.flows)
            assert queued <= 5 * MEBIBYTE
            release.set()
            client.shutdown(socket.SHUT_WR)
            assert sink.ended.wait(30)
    assert len(sink.received) == sent


# -- servers that come and go --------------------------------------------------------


@pytest.mark.parametrize("latency", [0.0, 0.02])
def test_a_server_that_does_not_run_refuses(latency):
    """The client is connected to the link, and hears of it at once."""
    with Link(Hello(), latency=latency) as link:
        with pytest.raises(REFUSED), connect(address(link)) as client:
            client.recv(1)
            raise AssertionError("an end in good order is no refusal")
        assert [c.event for c in link.capture] == [Event.OPEN, Event.RESET]


def test_a_server_that_restarts_elsewhere_is_found():
    """Its address is asked for at each connection."""
    server = Hello()
    with Link(server) as link:
        for _ in range(2):
            with server, connect(address(link)) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert receive_all(client).endswith(b"hello")
            server._wanted_port = 0
        with pytest.raises(REFUSED), connect(address(link)) as client:
            client.recv(1)
            raise ConnectionAbortedError("an end in good order is no refusal")


def test_it_survives_being_out_of_descriptors(wait_until):
    """It rests, and serves again once there are some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving(echo) as target, Link(target) as link:
        with connect(address(link)) as client:
            round_trip(link, client)
            fuller = [socket.socket() for _ in range(3)]
            try:
                highest = max(int(name) for name in os.listdir("/proc/self/fd"))
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2, hard))
                with contextlib.suppress(OSError):
                    while True:
                        fuller.append(socket.socket())
                fuller.pop().close()
                with contextlib.suppress(OSError), connect(address(link)) as refused:
                    wait_until(lambda: link.errors)
                    refused.settimeout(0.2)
                    refused.recv(1)
                round_trip(link, client)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for sock in fuller:
                    sock.close()
        with connect(address(link)) as client:
            round_trip(link, client)


def test_it_leaves_nothing_behind(wait_until):
    """No thread, no descriptor, no port; its connections are closed."""
    with serving(echo) as target:
        before = len(os.listdir("/proc/self/fd"))
        with Link(target, latency=0.001) as link:
            client = connect(address(link))
            round_trip(link, client)
            port = link.port
            assert link in running()
        assert wait_for_end(client) is None
        client.close()
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)
        assert "link Link" not in [thread.name for thread in threading.enumerate()]
        with pytest.raises(ConnectionRefusedError):
            connect((link.host, port))


def test_the_card_counts_connections():
    """A link does not know requests."""
    with serving(echo) as target, Link(target, name="line") as link:
        with connect(address(link)) as client:
            round_trip(link, client)
        assert repr(link) == f"<server line, address {link.url}, connections 1>"
        assert "connections" in link._repr_html_()


def test_directions_of_the_capture():
    """Who sent what."""
    with serving(lambda peer: peer.sendall(receive(peer, 2) * 2)) as target:
        with Link(target) as link, connect(address(link)) as client:
            client.sendall(b"ab")
            assert receive_all(client) == b"abab"
        data = [c for c in link.capture if c.event is Event.DATA]
        assert [(c.direction, c.data) for c in data] == [
            (Direction.TO_SERVER, b"ab"),
            (Direction.TO_CLIENT, b"abab"),
        ]
