"""Lab 2, part 1: how the learner's fetcher is run, and what every run is judged by."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from helpers.lesson.check import Lab, Trial, Unmet
from helpers.lesson.check_process import End, Outcome
from labs.checks.hostile_api import HostileAPI, text_of
from labs.checks.timeline import draw_visits

__all__ = [
    "FETCHER",
    "LIMIT",
    "LONG",
    "Request",
    "expect_answers",
    "expect_no_task_left",
    "expect_refusal",
    "fetch",
    "get",
    "is_group",
    "names",
]

Request = tuple[str, str, dict[str, str]]  # method, URL, headers

LIMIT = 20
LONG = 30.0  # seconds: a time-out that plays no part


async def call_fetch_all(
    fetch_all: Callable,
    requests: list[Request],
    limit: int,
    timeout: float,
    tries: int,
    signal: str = "",
) -> Any:
    """In the child; cancelled as soon as ``signal`` answers, if there is one."""
    os.environ["no_proxy"] = "*"  # what is on loopback goes through no proxy
    if not signal:
        return await fetch_all(requests, limit, timeout, tries)
    call = asyncio.create_task(fetch_all(requests, limit, timeout, tries))
    address = urlsplit(signal)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET {address.path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    await reader.readline()
    writer.close()
    call.cancel()
    return await call


FETCHER = Lab(
    "lab2",
    "fetch_all",
    ["requests", "limit", "timeout", "tries"],
    driver=call_fetch_all,
    draw=draw_visits,
    drawn="What the server saw",
)


def get(api: HostileAPI, items: Iterable[int]) -> list[Request]:
    """A GET for each of these items."""
    return [("GET", api.make_url(f"/items/{item}"), {}) for item in items]


def fetch(
    trial: Trial,
    api: HostileAPI,
    requests: Sequence[Request],
    *,
    limit: int = LIMIT,
    timeout: float = LONG,
    tries: int = 4,
    signal: str = "",
    stop_when: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run the learner's function; stop it once the verdict is certain."""
    call = (list(requests), limit, timeout, tries, signal)
    return trial.call(*call, witness=api, stop_when=stop_when)


# -- what every run is judged by ------------------------------------------------------


def expect_answers(outcome: Outcome, items: Iterable[int], otherwise: str = "") -> None:
    """``otherwise`` explains a run that did not return, in the words of its lesson."""
    if outcome.end is not End.RETURNED:
        raise Unmet(f"It {outcome}. {otherwise}".rstrip())
    wanted = [text_of(item) for item in items]
    got = outcome.value
    if not isinstance(got, list | tuple):
        raise Unmet(
            f"It {outcome}. Return a list with the text of each answer "
            "(response.text), one for each request."
        )
    if list(got) == wanted:
        return
    if sorted(map(str, got)) == sorted(wanted):
        raise Unmet(
            "All answers are there, but in the order in which they came. The caller "
            "knows them by their place: keep the order of the requests, whoever is "
            "done first. (A list of tasks keeps it, as_completed() does not.)"
        )
    if len(got) != len(wanted):
        raise Unmet(f"It returned {len(got)} answers to {len(wanted)} requests.")
    place = next(i for i, text in enumerate(wanted) if got[i] != text)
    if str(got[place]).startswith("refused"):
        raise Unmet(
            f"It returned {got[place]!r} as if that were an answer. To httpx a refusal "
            "is an answer like others: look at the status first "
            f"(response.raise_for_status()). {otherwise}".rstrip()
        )
    raise Unmet(
        f"The server answered {wanted[place]!r}, and in its place it returned "
        f"{got[place]!r:.100}. Return the text of each answer (response.text)."
    )


def expect_no_task_left(outcome: Outcome) -> None:
    if outcome.left:
        names = ", ".join(f"{name}()" for name in sorted(set(outcome.left))[:3])
        raise Unmet(
            f"When it was over, {len(outcome.left)} of its tasks were still there "
            f"({names}). gather() does not end the others when one fails, and "
            "cancel() only asks: a TaskGroup cancels them and waits for them, or "
            "await them yourself after the cancel()."
        )


def expect_refusal(outcome: Outcome, status: int, *, attempts: int) -> None:
    told = f"One request was answered {status}"
    if attempts > 1:
        raise Unmet(
            f"{told} and sent again. It will be the same next time: only 429 and 503 "
            "are worth another try."
        )
    if outcome.end is not End.RAISED:
        raise Unmet(
            f"{told}, and yet it {_ended(outcome)}. Whoever called it believes that "
            "all went well: look at the status (response.raise_for_status()), and let "
            "the error through."
        )
    if is_group(outcome):
        raise Unmet(
            f"{told}, and it raised {outcome.error}. Who calls it expects the error "
            "itself: a TaskGroup wraps it, so unwrap the first of the group's "
            "exceptions and raise that."
        )
    if not names(outcome, status):
        raise Unmet(
            f"{told}, and it raised {outcome.error}. Raise the error of that request "
            f"itself, so that it names {status} (response.raise_for_status() does)."
        )


def _ended(outcome: Outcome) -> str:
    """Without what it returned: a long list hides the point."""
    return "returned" if outcome.end is End.RETURNED else str(outcome)


def names(outcome: Outcome, status: int) -> bool:
    return str(status) in str(outcome.error)


def is_group(outcome: Outcome) -> bool:
    return outcome.raised("BaseExceptionGroup")
