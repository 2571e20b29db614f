"""CallbackSender: how often, how long, with what between (addresses: servers_jobs)."""

import asyncio
import socket
import time

import pytest
from aiohttp import web

from helpers.server import HTTPServer
from helpers.servers.callback import CallbackSender


class Receiver(HTTPServer):
    def __init__(self, *statuses):
        super().__init__()
        self.statuses = list(statuses)
        self.calls = []

    def routes(self):
        return [web.post("/", self.call)]

    async def call(self, request):
        name = request.headers["Webhook-Id"]
        self.calls.append((name, request.content_type, await request.json()))
        return web.Response(status=self.statuses.pop(0))


def deliver(sender, url):
    return asyncio.run(sender.deliver(url, "job-7", {"id": 7}))


def test_any_2xx_is_enough():
    """One request, JSON, with its id."""
    for status in (200, 202, 204):
        with Receiver(status) as receiver:
            assert deliver(CallbackSender(), receiver.url)
        assert receiver.calls == [("job-7", "application/json", {"id": 7})]


@pytest.mark.parametrize("status", [300, 302, 400, 404, 500])
def test_anything_else_is_tried_again(status):
    """The same request, the same id."""
    with Receiver(status, 200) as receiver:
        assert deliver(CallbackSender(pause=0), receiver.url)
    assert len(receiver.calls) == 2
    assert receiver.calls[0] == receiver.calls[1]


def test_tries_are_bounded():
    """Then it says that it did not deliver."""
    with Receiver(500, 500, 500, 200) as receiver:
        assert not deliver(CallbackSender(tries=3, pause=0), receiver.url)
    assert len(receiver.calls) == 3


def test_nobody_there_is_no_exception():
    """A connection that is refused, or closed without an answer, is a try."""
    with socket.socket() as bound:  # bound, not listening: nobody else can have it
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        assert not deliver(CallbackSender(tries=2, pause=0), url)


def test_a_receiver_that_says_nothing_is_not_waited_for():
    """Each try has a time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        began = time.monotonic()
        assert not deliver(CallbackSender(tries=2, pause=0, timeout=0.1), url)
    assert time.monotonic() - began > 0.19


def test_pauses_double_give_or_take_a_half():
    """The same seed, the same pauses."""
    pauses, again = (
        [sender._pause_before(attempt) for attempt in range(1, 8)]
        for sender in (CallbackSender(pause=1, seed=3), CallbackSender(pause=1, seed=3))
    )
    assert pauses == again
    for attempt, pause in enumerate(pauses):
        assert 0.5 <= pause / 2**attempt <= 1.5
