"""The pages of the score server in a real browser, alone and through JupyterLab."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from helpers.servers.scores import ScoreServer
from tests.conftest import TIME_UNIT

PATIENCE = 30_000 * TIME_UNIT  # milliseconds
SOCKET = """url => new Promise(resolve => {
    const socket = new WebSocket(new URL(url, location.href.replace(/^http/, 'ws')));
    socket.onmessage = message => resolve(message.data);
    socket.onclose = close => resolve(close.code);
})"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert not problems


def proxied(lab_url: str, server: ScoreServer, path: str = "/") -> str:
    """A page of the server as JupyterLab hands it on."""
    return f"{lab_url}/proxy/{server.port}{path}?token=secret"


def shown(page: Page) -> list[int]:
    """The numbers of the events in the page's list, newest first."""
    return [
        int(text.split(".")[0]) for text in page.locator("#log li").all_inner_texts()
    ]


@pytest.mark.timeout(120 * TIME_UNIT)
def test_an_event_source_resumes_by_itself(
    page: Page, lab_url: str, wait_until: Callable
) -> None:
    """Streams end again and again; each event is on the page once, none is missing."""
    with ScoreServer(lifetime=0.3, retry=0.05) as server:
        page.goto(proxied(lab_url, server))
        for number in range(1, 13):
            streams = server.requests
            server.publish("goal", match="A – B", score=[number, 0])
            if number % 3 == 0:  # until there is another stream
                wait_until(lambda streams=streams: server.requests > streams, 20)
        expect(page.locator("#log li")).to_have_count(12, timeout=PATIENCE)
        assert shown(page) == list(range(12, 0, -1))
        expect(page.locator("#matches")).to_contain_text("12 : 0")


@pytest.mark.timeout(120 * TIME_UNIT)
def test_a_page_that_was_disconnected_goes_on_where_it_was(page: Page) -> None:
    """By keyboard; the address of the new stream says how far the page got."""
    with ScoreServer() as server:
        page.goto(server.url)
        server.publish("goal", match="A – B")
        expect(page.locator("#log li")).to_have_count(1)
        page.locator("#toggle").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Disconnected after event 1")
        server.publish("card", match="A – B")
        page.locator("#toggle").press("Enter")
        expect(page.locator("#log li")).to_have_count(2)
        assert shown(page) == [2, 1]


@pytest.mark.timeout(120 * TIME_UNIT)
@pytest.mark.parametrize("through_lab", [False, True], ids=["alone", "in JupyterLab"])
def test_six_of_ten_streams_get_data(
    page: Page, lab_url: str, through_lab: bool
) -> None:
    """HTTP/1.1: six connections to a host; closing a stream lets the next one in."""
    with ScoreServer() as server:
        server.publish("goal")
        path = "/six-streams"
        url = proxied(lab_url, server, path) if through_lab else server.make_url(path)
        page.goto(url)
        page.get_by_role("button", name="Open ten streams").press("Enter")
        status = page.get_by_role("status")
        expect(status).to_have_text("6 of 10 streams are open, 4 wait.")
        page.get_by_role("button", name="Close 1", exact=True).click()
        expect(status).to_have_text("6 of 10 streams are open, 3 wait.")
        page.get_by_role("button", name="Close all").click()
        expect(status).to_have_text("0 of 10 streams are open, 0 wait.")


@pytest.mark.timeout(120 * TIME_UNIT)
def test_a_websocket_opens_through_jupyterlab_and_not_across(
    page: Page, lab_url: str
) -> None:
    """A page of JupyterLab's origin has to go by JupyterLab's proxy."""
    with ScoreServer() as server:
        event = server.publish("goal")
        page.goto(proxied(lab_url, server))
        port = server.sockets.port
        assert page.evaluate(SOCKET, f"../{port}/?since=0") == event.json.decode()
        assert page.evaluate(SOCKET, server.sockets.make_url("/?since=0")) == 1006
        assert server.sockets.requests == 1
