"""helpers.servers.echo: the libraries' servers that the lean ones stand beside"""

from __future__ import annotations

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.sync.client import connect

from helpers.measure.connections import IdleConnections
from helpers.servers.echo import AiohttpSockets, WebsocketsServer

MAKERS = {
    "compressed": lambda: WebsocketsServer(),
    "plain": lambda: WebsocketsServer(compressed=False),
    "aiohttp": lambda: AiohttpSockets(),
}


@pytest.fixture(params=MAKERS)
def server(request):
    with MAKERS[request.param]() as server:
        server.kind = request.param
        yield server
        assert not server.errors


def test_it_echoes(server):
    """Text and bytes."""
    url = server.make_url("/").replace("http", "ws", 1)
    with connect(url, proxy=None) as websocket:
        for said in ("text", b"bytes"):
            websocket.send(said)
            assert websocket.recv(timeout=30) == said


def test_it_compresses_for_who_asks_unless_told_otherwise(server):
    """Which is what the comparison is about."""
    url = server.make_url("/").replace("http", "ws", 1)
    with connect(url, proxy=None) as websocket:
        kinds = [type(each) for each in websocket.protocol.extensions]
    assert kinds == ([] if server.kind == "plain" else [PerMessageDeflate])


def test_clients_that_are_cut_off_are_no_errors(server, wait_until):
    """Nor do they keep it from stopping."""
    with IdleConnections(server.port) as crowd:
        crowd.open(20)
        wait_until(lambda: server.requests >= 20)
        assert crowd.ping()
    server.stop()
    assert not server.running


def test_it_stops_with_idle_clients(server):
    """In time, and then starts again."""
    with IdleConnections(server.port) as crowd:
        crowd.open(20)
        server.stop()
        server.start()
