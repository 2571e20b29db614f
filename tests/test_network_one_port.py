"""helpers.network.one_port"""

import errno

import dns.message
import dns.query
import pytest

from helpers.network import DatagramLink, Link, links_on_one_port
from helpers.server import running
from helpers.servers.resolver import Resolver


def test_a_truncated_answer_is_asked_for_again_at_the_same_port():
    """dnspython falls back from UDP to TCP through both lines."""
    ask = dns.message.make_query("cdn.example.test", "A")
    with Resolver() as server, links_on_one_port(server) as (udp, tcp):
        assert udp.port == tcp.port
        answer, by_tcp = dns.query.udp_with_fallback(ask, udp.host, 30, udp.port)
    assert by_tcp
    assert len(answer.answer[0]) == 100
    assert (udp.capture.round_trips, tcp.capture.round_trips) == (1, 2)
    assert not udp.running and not tcp.running


def test_a_port_that_is_taken_for_udp_is_given_up(monkeypatch):
    """Another one is tried, and nothing is left of the first."""
    taken = []
    start = DatagramLink.start

    def start_when_free(link):
        if not taken:
            taken.append(link._wanted_port)
            raise OSError(errno.EADDRINUSE, "taken")
        return start(link)

    monkeypatch.setattr(DatagramLink, "start", start_when_free)
    with links_on_one_port(("127.0.0.1", 9)) as (udp, _):
        assert udp.port not in taken
        assert len(running()) == 2


def test_bad_settings_are_told_and_leave_nothing():
    """What only one of the two knows is an error of that one."""
    with (
        pytest.raises(TypeError, match="loss"),
        links_on_one_port(("127.0.0.1", 9), loss=0.1),
    ):
        pass
    with (
        pytest.raises(TypeError, match="cut_after"),
        links_on_one_port(("127.0.0.1", 9), cut_after=10),
    ):
        pass


def test_both_are_links():
    """In the order in which DNS uses them."""
    with links_on_one_port(("127.0.0.1", 9), latency=0.5) as (udp, tcp):
        assert isinstance(udp, DatagramLink) and isinstance(tcp, Link)
        assert udp.latency == tcp.latency == 0.5
