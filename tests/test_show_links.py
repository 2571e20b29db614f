"""helpers.show.links"""

from helpers.servers.scores import ScoreServer
from helpers.show.links import links


def test_a_page_is_reached_through_the_proxy_and_straight(monkeypatch):
    """On Binder the proxy lies below the user's own address."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
    with ScoreServer() as server:
        shown = links(server, "/six-streams")
        assert f"href='/user/ann/proxy/{server.port}/six-streams'" in shown.html()
        assert server.make_url("/six-streams") in shown.text()
        monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX")
        assert f"href='/proxy/{server.port}/'" in links(server, "/").html()
