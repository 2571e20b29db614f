"""The requirements of lab 2, part 1: many requests at once, and never a crowd.

Each requirement has a misconception or two that it recognises by what the server saw.
The server holds its visitors until others have come, so that a verdict rests on who
came before whom. Where a time is judged it is a lower bound that no busy machine can
break, or an upper one many times longer than needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, pvariance
from typing import Any

from aiohttp import web

from helpers.lesson.check import Trial, Unmet, parts
from helpers.lesson.check_process import End
from helpers.lesson.check_report import Report, Solution
from helpers.server import HTTPServer
from labs.checks.hostile_api import (
    HostileAPI,
    Reply,
    Visit,
    answer,
    cut,
    fall_silent,
    refuse,
    trickle,
)
from labs.checks.lab2_fetcher import (
    FETCHER,
    LIMIT,
    expect_answers,
    expect_no_task_left,
    expect_refusal,
    fetch,
    get,
    is_group,
    names,
)
from labs.checks.lab2_frozen_server import SHOP

__all__ = ["FETCHER", "LABS", "check", "show_solution"]

ALL = 500
SHORT = 0.5  # seconds: a time-out that does
HELD = 3.0  # seconds; who still waits then has no time-out of its own
AFTERWARDS = 3.0  # seconds; who still waits then after the end waits for the rest

# Pauses of 0.1, 0.2, 0.4, 0.8 and 1.6 s are 3.1 s in all, and half as much with jitter
# over the whole of them. All figures are of twenty pauses.
TIMES = 5
PAUSED = 0.5  # seconds in all, the mean; what a busy machine adds comes on top
GROWN = 0.3  # seconds from the first to the last, the mean; 0.75 with such a jitter
# Seconds, the deviation of the last beyond that of the first, which is what a busy
# machine adds. Chance between half and all of 1.6 s gives 0.23.
SPREAD = 0.1


requirement = FETCHER.requirement


def check(work: Any) -> Report:
    """Check ``fetch_all``, or the class of the server."""
    part = SHOP if isinstance(work, type | HTTPServer) else FETCHER
    return part.check(work)


def show_solution() -> Solution:
    """The solution of both parts, folded."""
    return Solution(Path(__file__).parents[1] / "solutions" / Path(__file__).name)


# -- many at once ---------------------------------------------------------------------


@requirement("All 500 answers come back, in the order of the requests", limit=20)
def delivers(trial: Trial) -> None:
    async def some_late(visit: Visit, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.03 if visit.item % 7 == 0 else 0)
        return await answer(visit, request)

    for items in (range(1), range(ALL), range(0)):
        with HostileAPI(otherwise=some_late) as api:
            outcome = fetch(trial, api, get(api, items))
            otherwise = f"The server was well; the list had {len(items)} x GET."
            expect_answers(outcome, items, otherwise)


@requirement("Never more than `limit` at a time", limit=15)
def limited(trial: Trial) -> None:
    for limit in (LIMIT, 6):

        async def look(visit: Visit, request: web.Request) -> web.StreamResponse:
            await api.until_over(limit)  # noqa: B023 - it ends before the next
            return await answer(visit, request)

        with HostileAPI(otherwise=look) as api:
            requests = get(api, range(3 * limit))
            outcome = fetch(
                trial,
                api,
                requests,
                limit=limit,
                stop_when=lambda: api.peak > limit,  # noqa: B023
            )
        if api.peak > limit:
            again = "" if limit == LIMIT else " It is an argument: 20 is its default."
            raise Unmet(
                f"{api.peak} requests were with the server at once, and limit was "
                f"{limit}.{again} Let each wait for its turn: a Semaphore(limit), and "
                "`async with` it around each request."
            )
        expect_answers(outcome, range(3 * limit))


@requirement("Always `limit` at a time while there is work", limit=30)
def full(trial: Trial) -> None:
    total = 3 * LIMIT

    async def hold(visit: Visit, request: web.Request) -> web.StreamResponse:
        if visit.item == 0:  # the slow one
            if not await api.until(lambda: len(api.visits) == total):
                await api.stall()
        else:
            await api.until_full(LIMIT, total=total)
        return await answer(visit, request)

    with HostileAPI(otherwise=hold) as api:
        requests = get(api, range(total))
        outcome = fetch(trial, api, requests, stop_when=api.has_stalled)
        if api.has_stalled():
            raise Unmet(_why_not_full(api))
        expect_answers(outcome, range(total))


def _why_not_full(api: HostileAPI) -> str:
    if api.peak == 1:
        return (
            "It never had more than one request under way. An `await` in a plain loop "
            "waits for each answer before the next request begins: make a task of "
            "each request. (A client without await, such as requests or httpx.get, "
            "blocks all tasks.)"
        )
    if api.peak < LIMIT:
        return (
            f"It never had more than {api.peak} requests under way; limit was {LIMIT}, "
            "and the others waited though there was room."
        )
    return (
        f"{LIMIT} requests were under way, one was answered, and nothing took its "
        "place: the others wait for the slowest of their batch. Do not cut the list "
        "into batches: start a task for each request, and let a Semaphore admit the "
        "next whenever one is done."
    )


# -- time-outs ------------------------------------------------------------------------


@requirement("A try ends after `timeout` seconds, whatever the server does", limit=20)
def time_out(trial: Trial) -> None:
    explained = {
        fall_silent: "Some requests got no answer at all, only silence.",
        trickle: "Some answers came a byte at a time and never ended. timeout= of "
        "httpx is for the silence between two bytes, so it never struck.",
    }
    for fault, explanation in explained.items():
        with HostileAPI({item: [fault] for item in (3, 11, 17)}) as api:
            outcome = fetch(
                trial,
                api,
                get(api, range(24)),
                timeout=SHORT,
                stop_when=lambda: api.longest() > HELD,
            )
            longest = api.longest()
        if longest > HELD:
            raise Unmet(
                f"{explanation} With timeout={SHORT} it still waited for one after "
                f"{HELD:g} s. Put each try into `async with asyncio.timeout(timeout):` "
                "and the time counts to the last byte."
            )
        expect_answers(
            outcome,
            range(24),
            f"{explanation} A time-out is no verdict: the same GET would have been "
            "answered a moment later. Try again.",
        )


@requirement("Only the time with the server counts, not that in the queue", limit=20)
def turn(trial: Trial) -> None:
    async def slowly(visit: Visit, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return await answer(visit, request)

    timeout, items = 1.5, range(24)  # two at a time, so 2.4 s in all
    with HostileAPI(otherwise=slowly) as api:
        outcome = fetch(trial, api, get(api, items), limit=2, timeout=timeout, tries=1)
        expect_answers(
            outcome,
            items,
            f"Each answer takes 0.2 s here, limit was 2 and timeout {timeout}: only "
            f"{len(api.visits)} of {len(items)} requests had been sent, the others "
            "timed out in the queue. First wait for the turn, then start the clock: "
            "asyncio.timeout() goes inside `async with` the semaphore. (Limits of a "
            "client's pool make requests queue where the clock runs.)",
        )


# -- trying again ---------------------------------------------------------------------

KEY = {"Idempotency-Key": "order-1"}
REPEATABLE: list[tuple[str, dict[str, str], list[Reply], str]] = [
    ("GET", {}, [refuse(503)], "was answered 503 (busy)"),
    ("GET", {}, [refuse(429)], "was answered 429 (too many)"),
    ("GET", {}, [cut], "got no answer: the connection broke"),
    ("PUT", {}, [refuse(503)], "was answered 503 (busy)"),
    ("DELETE", {}, [cut, refuse(503)], "met a broken connection, then 503"),
    ("POST", KEY, [refuse(503)], "with an Idempotency-Key was answered 503 (busy)"),
]


@requirement("What failed for a moment and may be repeated is tried again", limit=10)
def retries(trial: Trial) -> None:
    for method, headers, replies, what in REPEATABLE:
        with HostileAPI({1: replies}) as api:
            first, second, third = get(api, range(3))
            outcome = fetch(trial, api, [first, (method, second[1], headers), third])
            expect_answers(
                outcome,
                range(3),
                f"A {method} {what}. The trouble passes, and to repeat this request "
                "does no harm: pause, and try again.",
            )


@requirement("A POST without Idempotency-Key is sent once", limit=10)
def unsafe(trial: Trial) -> None:
    faults = {
        "was answered 503": refuse(503),
        "lost its connection": cut,
        "timed out": fall_silent,
    }
    for what, fault in faults.items():
        with HostileAPI({1: [fault]}) as api:
            fetch(
                trial,
                api,
                [("POST", api.make_url("/items/1"), {})],
                timeout=SHORT,
                stop_when=lambda: api.attempts(1) > 1 or api.longest() > HELD,
            )
            if api.attempts(1) > 1:
                raise Unmet(
                    f"A POST {what} and was sent again. Nobody knows whether the first "
                    "was carried out, and this may be the second order: repeat GET, "
                    "HEAD, PUT, DELETE, and a POST only with an Idempotency-Key."
                )
            if api.attempts(1) == 0:
                raise Unmet("It got one POST to send, and never sent it.")


@requirement("After `tries` tries it gives up and raises", limit=10)
def gives_up(trial: Trial) -> None:
    tries = 3
    with HostileAPI({2: [refuse(503)] * 1000}) as api:
        outcome = fetch(
            trial,
            api,
            get(api, range(4)),
            tries=tries,
            stop_when=lambda: api.attempts(2) > tries,
        )
        attempts = api.attempts(2)
    counted = f"One request was answered 503 each time, and tries was {tries}"
    if attempts != tries:
        raise Unmet(
            f"{counted}: it was sent {attempts} times"
            f"{' and more' * (outcome.end is End.STOPPED)}. The first one counts, too."
        )
    if outcome.end is not End.RAISED:
        raise Unmet(f"{counted}. After these it {outcome}. Raise the last error.")
    if not (names(outcome, 503) or is_group(outcome)):
        raise Unmet(
            f"{counted}, and it raised {outcome.error}. That looks like an accident: "
            "raise the error of the last try, so that it names 503."
        )


# -- the end --------------------------------------------------------------------------


@requirement("A refusal is final: it is raised itself, and names the status", limit=10)
def refused(trial: Trial) -> None:
    for status in (404, 401):
        with HostileAPI({7: [refuse(status)] * 1000}) as api:
            outcome = fetch(
                trial,
                api,
                get(api, range(12)),
                stop_when=lambda: api.attempts(7) > 1,
            )
            expect_refusal(outcome, status, attempts=api.attempts(7))


@requirement("The first final error ends the rest, and no task stays", limit=20)
def cancels(trial: Trial) -> None:
    async def hold(visit: Visit, request: web.Request) -> web.StreamResponse:
        if visit.item == 10:
            await api.until(lambda: False, quiet=0.5)  # all come that want to
            return await refuse(404)(visit, request)
        # Slow ones: they would take for ever, if they were not cancelled.
        if await api.until(lambda: api.attempts(10) > 0, quiet=0.5):
            return await fall_silent()
        return await answer(visit, request)

    def refused_at() -> float:
        return next((v.went for v in api.of(10) if v.went), float("inf"))

    def waits_on() -> bool:
        last = max((v.came for v in list(api.visits)), default=0)
        return api.here > 0 and _since(max(refused_at(), last)) > AFTERWARDS

    with HostileAPI(otherwise=hold) as api:
        outcome = fetch(trial, api, get(api, range(100)), stop_when=waits_on)
        after = api.since(refused_at())
    if outcome.end in (End.STOPPED, End.TIMED_OUT):
        raise Unmet(
            f"One request was answered 404, and {AFTERWARDS:g} s later others were "
            "still under way. They are for nothing: cancel them, and raise."
        )
    if after > LIMIT:
        raise Unmet(
            f"One request was answered 404, and {after} more were sent after that. "
            "They are for nothing: cancel those that wait, too."
        )
    expect_no_task_left(outcome)


def _since(moment: float) -> float:
    """How many seconds ago; below zero for what is to come."""
    return time.monotonic() - moment


# -- backoff --------------------------------------------------------------------------


def refuse_together(api: HostileAPI, attempt: int) -> Reply:
    """503 to all of LIMIT items at one moment, once all are there."""

    def all_there() -> bool:
        return sum(v.attempt == attempt for v in api.visits) == LIMIT

    async def reply(visit: Visit, request: web.Request) -> web.StreamResponse:
        if not await api.until(all_there):
            await api.stall()
        return await refuse(503)(visit, request)

    return reply


def fail_together(trial: Trial) -> list[list[float]]:
    """LIMIT requests, refused all at once, TIMES times: their pauses, each time."""
    together: dict[int, list[Reply]] = {item: [] for item in range(LIMIT)}
    with HostileAPI(together) as api:
        for replies in together.values():
            replies += [refuse_together(api, n) for n in range(1, TIMES + 1)]
        outcome = fetch(
            trial,
            api,
            get(api, range(LIMIT)),
            tries=TIMES + 1,
            stop_when=api.has_stalled,
        )
    if api.has_stalled():
        raise Unmet(
            f"All {LIMIT} requests were to be under way, and {api.stalled} were: mend "
            "requirement 3 first."
        )
    expect_answers(
        outcome,
        range(LIMIT),
        f"Each request was answered 503 {TIMES} times, tries was {TIMES + 1}, and the "
        "last try would have worked.",
    )
    if len(outcome.slept) == LIMIT * TIMES:
        # What it asked for tells more than what came of it on a busy machine. Nobody
        # comes back a second time before all were back once, so these are in order.
        return [list(pauses) for pauses in batched(outcome.slept, LIMIT)]
    return [pauses_after(api, attempt) for attempt in range(1, TIMES + 1)]


def batched(values: Sequence[float], size: int) -> Iterator[Sequence[float]]:
    """Pieces of ``size``, as itertools.batched() cuts them from Python 3.12 on."""
    return (values[at : at + size] for at in range(0, len(values), size))


def pauses_after(api: HostileAPI, attempt: int) -> list[float]:
    """For each item, how long it was away after this attempt, in seconds."""
    visits = [api.of(item) for item in range(LIMIT)]
    return [v[attempt].came - (v[attempt - 1].went or 0) for v in visits]


@requirement("It pauses before each new try, twice as long each time", limit=12)
def pauses(trial: Trial) -> None:
    means = [mean(pauses) for pauses in fail_together(trial)]
    told = ", ".join(f"{pause:.2f}" for pause in means)
    if sum(means) < PAUSED:
        raise Unmet(
            f"All were answered 503 and were back after {told} s. A server that is "
            "busy is kept busy by that: pause 0.1 s before the second try, and twice "
            "as long each time."
        )
    if means[-1] - means[0] < GROWN:
        raise Unmet(
            f"Its pauses were {told} s on average. Nobody knows how long the trouble "
            "lasts, so pause twice as long each time: 0.1, 0.2, 0.4, 0.8, 1.6 s."
        )


@requirement("Those that failed together do not come back together", limit=12)
def jitter(trial: Trial) -> None:
    first, *_, last = fail_together(trial)
    if mean(last) - mean(first) < GROWN:
        raise Unmet(
            "In pauses as short as these jitter can not be seen: let them grow first "
            "(the requirement above)."
        )
    if pvariance(last) - pvariance(first) < SPREAD**2:
        raise Unmet(
            f"{LIMIT} requests were refused at one moment, and {TIMES} pauses later "
            "they still came back as one crowd: a busy server would have to refuse "
            "them again. Add jitter: let chance choose each pause between half and all "
            "of it (random.uniform)."
        )


@requirement("Who pauses gives its place to others", limit=15)
def slots(trial: Trial) -> None:
    limit, items = 4, range(16)
    unlucky: list[int] = []  # the first few, whoever that is

    async def reply(visit: Visit, request: web.Request) -> web.StreamResponse:
        if len(unlucky) < limit and visit.item not in unlucky:
            unlucky.append(visit.item)
        if visit.item in unlucky and visit.attempt < 4:
            return await refuse(503)(visit, request)
        return await answer(visit, request)

    with HostileAPI(otherwise=reply) as api:
        outcome = fetch(trial, api, get(api, items), limit=limit)
    expect_answers(
        outcome, items, f"{limit} requests were answered 503 three times, tries was 4."
    )
    visits = list(api.visits)
    through = next(v.went for v in visits if v.item in unlucky and v.outcome == "200")
    others = [v for v in visits if v.item not in unlucky and v.came < through]
    if not others:
        raise Unmet(
            f"limit was {limit}, and {limit} requests paused after a 503. Meanwhile "
            "nothing was sent: they kept their places while they slept. Sleep outside "
            "`async with` the semaphore, and queue again for the next try."
        )


# -- a good citizen -------------------------------------------------------------------


@requirement("When it is cancelled it ends at once, and no task stays", limit=20)
def cancelled(trial: Trial) -> None:
    async def hold(*_: object) -> web.StreamResponse:
        return await fall_silent()

    def goes_on() -> bool:
        if api.signalled is None:
            return api.longest() > 2 * AFTERWARDS
        return _since(api.signalled) > AFTERWARDS

    with HostileAPI(otherwise=hold) as api:
        outcome = fetch(
            trial,
            api,
            get(api, range(60)),
            signal=api.make_url("/signal"),
            stop_when=goes_on,
        )
        after = api.since(api.signalled) if api.signalled is not None else 0
    told = "Its caller cancelled it while requests were under way"
    if api.signalled is None:
        raise Unmet(
            "Its caller wanted to cancel it and could not: it blocked the event loop, "
            "or sent nothing at all."
        )
    if outcome.end in (End.STOPPED, End.TIMED_OUT):
        raise Unmet(
            f"{told}, and {AFTERWARDS:g} s later it still ran; {after} requests came "
            "after that. Let CancelledError through: it is no Exception, so do not "
            "catch it by a bare except or BaseException, or raise it again."
        )
    if outcome.end is not End.RAISED or not outcome.raised("CancelledError"):
        raise Unmet(
            f"{told}, and it {outcome}. Whoever cancels waits for CancelledError: let "
            "it through. (A bare except or BaseException catches it.)"
        )
    expect_no_task_left(outcome)


@requirement("It never blocks the event loop", limit=15)
def unblocked(trial: Trial) -> None:
    async def late(visit: Visit, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1.5)
        return await answer(visit, request)

    replies = {item: [refuse(503)] * 3 for item in range(1, 12)}
    with HostileAPI({0: [late]} | replies) as api:
        outcome = fetch(trial, api, get(api, range(12)))
    if outcome.blocked:
        raise Unmet(
            f"It stood still, and all its tasks with it, at {outcome.blocked[0]}. "
            "time.sleep() and clients without await hold the only thread that there "
            "is: await asyncio.sleep(), and a client that awaits."
        )


LABS = parts(FETCHER, SHOP)
