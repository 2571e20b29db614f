"""helpers.servers.origin"""

import pytest

from helpers.servers.origin import SAME_HOST, is_allowed, is_same_host

SAME = [
    ("http://127.0.0.1:8000", "127.0.0.1:8000"),
    ("http://LOCALHOST:8888", "localhost:8888"),
    ("http://[::1]:8000", "[::1]:8000"),
    ("http://example.org", "example.org"),
    ("http://example.org", "example.org:80"),
    # jupyter-server-proxy on a hub that ends TLS: both are the hub's, ours is http
    ("https://hub.example.org", "hub.example.org"),
    ("https://hub.example.org", "hub.example.org:443"),
]
OTHER = [
    ("http://evil.example", "127.0.0.1:8000"),
    ("http://127.0.0.1:8001", "127.0.0.1:8000"),
    ("http://127.0.0.1", "127.0.0.1:8000"),
    ("http://127.0.0.1:8000.evil.example", "127.0.0.1:8000"),
    ("http://evil.example/127.0.0.1:8000", "127.0.0.1:8000"),
    ("http://localhost:8000", "127.0.0.1:8000"),
    ("https://example.org", "example.org:80"),
    ("chrome-extension://abc", "abc"),
    ("null", "null"),
    ("null", ""),
    ("", ""),
    ("http://", ""),
    ("http://[::1", "[::1"),
    ("http://example.org:port", "example.org:port"),
]


@pytest.mark.parametrize(("origin", "host"), SAME)
def test_the_page_of_the_same_host(origin, host):
    """Host and port agree, with the scheme's port where none is written."""
    assert is_same_host(origin, host)
    assert is_allowed(origin, host)


@pytest.mark.parametrize(("origin", "host"), OTHER)
def test_a_page_of_another_host(origin, host):
    """Also those that only look alike, and those that do not parse."""
    assert not is_same_host(origin, host)
    assert not is_allowed(origin, host)


def test_no_browser_no_origin():
    """A client without Origin needs no protection from other sites' pages."""
    assert is_allowed(None, "127.0.0.1:8000", [])


def test_a_list_of_origins():
    """Exactly those, and the own host only where SAME_HOST stands for it."""
    friends = ["https://friend.example"]
    assert is_allowed("https://friend.example", "127.0.0.1:8000", friends)
    assert not is_allowed("https://friend.example:444", "127.0.0.1:8000", friends)
    assert not is_allowed("http://127.0.0.1:8000", "127.0.0.1:8000", friends)
    both = [*friends, SAME_HOST]
    assert is_allowed("http://127.0.0.1:8000", "127.0.0.1:8000", both)
