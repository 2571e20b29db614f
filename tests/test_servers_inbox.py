"""helpers.servers.inbox."""

import threading

import httpx
import pytest

from helpers.servers.inbox import Inbox


def test_it_keeps_what_it_is_told():
    """In order, from any address."""
    with Inbox() as inbox:
        for number in range(3):
            answer = httpx.post(inbox.make_url(f"/done/{number}"), json={"n": number})
            assert answer.status_code == 204
        assert inbox.received == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert inbox.wait() == {"n": 0}


def test_wait_returns_when_somebody_calls():
    """From another thread, while this one waits."""
    with Inbox() as inbox:
        call = threading.Thread(target=httpx.post, args=[inbox.url], kwargs={"json": 7})
        call.start()
        assert inbox.wait() == 7
        call.join()


def test_wait_does_not_wait_for_ever():
    """It says what did not happen."""
    with Inbox() as inbox:
        with pytest.raises(TimeoutError, match=r"nobody called back within 0\.01 s"):
            inbox.wait(0.01)


@pytest.mark.parametrize("body", [b"no json", b"\xff\xfe{"])
def test_what_is_no_json_is_refused(body):
    """With a problem document, and without keeping it."""
    with Inbox() as inbox:
        answer = httpx.post(inbox.url, content=body)
        assert answer.status_code == 400
        assert "takes JSON" in answer.json()["detail"]
        assert inbox.received == []


def test_a_large_message_is_refused():
    """Its memory is bounded."""
    with Inbox() as inbox:
        assert httpx.post(inbox.url, content=b"1" * 100_000).status_code == 413
