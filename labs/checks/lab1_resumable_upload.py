"""The requirements of lab 1: every byte arrives, though the line cuts and lies.

Each requirement has a misconception or two that it recognises by what the server saw.
Verdicts rest on the server's journal and on the link's capture alone.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx

from helpers.lesson.check import Lab, Trial, Unmet
from helpers.lesson.check_process import End, Outcome
from helpers.lesson.check_report import Solution
from helpers.network.link import Link
from helpers.show.ladder import ladder
from labs.checks.hostile_uploads import (
    HostileUploads,
    answer,
    cut_half_way,
    expire,
    fall_silent,
    forget,
    late_bytes,
    lose_answer,
)

__all__ = ["LAB", "check", "show_solution"]

KIB = 1024
PIECE = 256 * KIB
LONG = 512 * KIB
CUT_EVERY = 60 * KIB  # about nine cuts in LONG

SEED = 7

# Pieces of 64 KiB need 4 and 8 requests; twice that again leaves room to ask.
FEW_REQUESTS = 20
REQUESTS_WITH_CUTS = 60
# A pause of 0.1 s that doubles makes 4 tries in the first second.
DOWN_FOR = 0.6  # seconds
POLITE_TRIES = 25
TRIES_WHEN_DEAD = 20  # six are asked for
REFUSED_REQUESTS = 3


async def call_upload(upload, url: str, data: bytes):
    """In the child: the client that the task promises, which waits for ever."""
    # No TLS here, and reading all certificates takes longer than most runs.
    transport = httpx.AsyncHTTPTransport(verify=False)
    async with httpx.AsyncClient(timeout=None, transport=transport) as client:
        return await upload(url, data, client)


LAB = Lab(
    "lab1",
    "upload",
    ["url", "data", "client"],
    driver=call_upload,
    draw=lambda capture, title: ladder(capture, first=24, title=title),
)
check = LAB.check


def show_solution() -> Solution:
    """The solution, folded."""
    return Solution(Path(__file__).parents[1] / "solutions" / Path(__file__).name)


def make_data(size: int) -> bytes:
    """Bytes in which no piece is like another, and the same every time."""
    return random.Random(size).randbytes(size)


class Line:
    """A server with its faults, the link to it, and the file that is to get across."""

    def __init__(self, server: HostileUploads, link: Link, data: bytes) -> None:
        self.server = server
        self.link = link
        self.data = data

    @property
    def url(self) -> str:
        return self.link.make_url("/uploads")

    def upload(self, trial: Trial, *, most_requests: int | None = None) -> Outcome:
        """Run the learner's function; stop it once the verdict is certain."""

        def hopeless() -> bool:
            requests = self.server.count()
            too_many = most_requests is not None and requests > most_requests
            return too_many or self.server.sent_again() > 2 * len(self.data)

        return trial.call(self.url, self.data, witness=self.link, stop_when=hopeless)


@contextmanager
def line_with(
    *, data: bytes, cut_every: float | None = None, **faults
) -> Iterator[Line]:
    """``faults``: for each method, what happens to its first requests in turn."""
    with tempfile.TemporaryDirectory(prefix="lab1-") as folder:
        with HostileUploads(folder, data, faults) as server:
            with Link(server, cut_every=cut_every, seed=SEED) as link:
                server.link = link
                yield Line(server, link, data)


# -- what every run is judged by ----------------------------------------------------


def expect_delivered(line: Line, outcome: Outcome, *, otherwise: str = "") -> None:
    """``otherwise`` explains a run that did not return, in the words of its lesson."""
    if outcome.end is not End.RETURNED:
        raise Unmet(f"It {outcome}. {otherwise}".rstrip())
    token = _token(line, outcome.value)
    stored = line.server.received(token)
    if stored == line.data:
        return
    have, want = len(stored), len(line.data)
    if have < want:
        raise Unmet(
            f"It returned, but the server has {have:,} of {want:,} bytes. That bytes "
            "were sent does not mean that they arrived: only the server's "
            "Upload-Offset says how far it got."
        )
    first = next(i for i in range(want) if stored[i] != line.data[i])
    raise Unmet(
        f"The server has {have:,} bytes, but not yours from byte {first:,} on. Send "
        "data[offset:] for the offset that you name in Upload-Offset."
    )


def _token(line: Line, value: object) -> str:
    known = [upload.id for upload in line.server.uploads]
    if value is None:
        raise Unmet("It returned None. Return the address of the upload (Location).")
    token = urljoin(line.url, str(value)).rpartition("/")[2]
    if token not in known:
        raise Unmet(
            f"It returned {value!r:.100}, and there is no such upload. Return the "
            "address from the Location header that the creation answered."
        )
    return token


def expect_nothing_sent_again(line: Line) -> None:
    server = line.server
    if guess := server.first_guess():
        relation = "already" if guess.stored > guess.claimed else "only"
        raise Unmet(
            f"It sent bytes from offset {guess.claimed:,} on, while the server had "
            f"{relation} {guess.stored:,}. What was sent and what has arrived are two "
            "things: after any trouble ask with HEAD, and go on from that offset."
        )
    if extra := server.sent_again():
        raise Unmet(
            f"It started again from byte 0 in a second upload: {extra:,} bytes were "
            "sent twice. What the server has is safe; ask with HEAD how much that is, "
            "and go on from there."
        )


def expect_few_requests(line: Line, most: int) -> None:
    if (requests := line.server.count()) > most:
        raise Unmet(
            f"It made {requests} requests, and {most} would have been plenty. Pieces "
            "of 64 KiB or more keep the number small; all the rest in one PATCH is "
            "fine, too."
        )


# -- the requirements ---------------------------------------------------------------


@LAB.requirement("Every byte arrives, of a file large, small or empty", limit=10)
def delivers(trial: Trial) -> None:
    for size in (PIECE, 1, 0):
        with line_with(data=make_data(size)) as line:
            outcome = line.upload(trial)
            if outcome.raised("UnsupportedProtocol"):
                raise Unmet(
                    f"It {outcome}. Location may be relative to the address that was "
                    "asked: response.url.join(location) makes it whole."
                )
            expect_delivered(
                line,
                outcome,
                otherwise=f"The line was good, and the file has {size:,} bytes. "
                f"{line.server.last_refusal}",
            )
            expect_few_requests(line, FEW_REQUESTS)


@LAB.requirement("After a cut it sends only what the server has not got", limit=20)
def resumes(trial: Trial) -> None:
    with line_with(data=make_data(LONG), cut_every=CUT_EVERY) as line:
        outcome = line.upload(trial, most_requests=REQUESTS_WITH_CUTS)
        expect_nothing_sent_again(line)
        expect_few_requests(line, REQUESTS_WITH_CUTS)
        expect_delivered(
            line,
            outcome,
            otherwise="The line was cut several times, and each time it had carried "
            "some more. As long as the offset grows, go on: count only tries in a row "
            "that moved nothing.",
        )


@LAB.requirement("A silent connection is given up, not waited for", limit=8)
def silence(trial: Trial) -> None:
    faults = {"PATCH": [fall_silent], "HEAD": [fall_silent]}
    with line_with(data=make_data(PIECE), **faults) as line:
        outcome = line.upload(trial)
        if outcome.end is End.TIMED_OUT:
            raise Unmet(
                f"It still waited after {outcome.limit:g} s. A dead line is no error "
                "to TCP, only silence, and this client has no time-out: give one to "
                "each request (timeout=1.0), HEAD too."
            )
        expect_delivered(
            line,
            outcome,
            otherwise="Silence is one more way for a line to break (httpx raises a "
            "TimeoutException, a kind of TransportError): ask with HEAD and go on.",
        )


@LAB.requirement("When an answer is lost it asks, and does not guess", limit=10)
def lost_answer(trial: Trial) -> None:
    with line_with(data=make_data(PIECE), PATCH=[lose_answer]) as line:
        outcome = line.upload(trial, most_requests=FEW_REQUESTS)
        if line.server.sent_again() and not line.server.first_guess():
            raise Unmet(
                "It made a second upload, though the first had every byte: only the "
                "answer was lost. A lost answer is not a failed request; HEAD tells "
                "which of the two it was."
            )
        expect_nothing_sent_again(line)
        expect_delivered(
            line,
            outcome,
            otherwise="The bytes had arrived, only the answer was lost. Ask with HEAD: "
            "when the offset is the length, all is done.",
        )


@LAB.requirement("It waits for a server that is away, and does not hammer", limit=20)
def restart(trial: Trial) -> None:
    with line_with(data=make_data(PIECE)) as line:
        with line.server.restarting(DOWN_FOR):
            outcome = trial.call(
                line.url,
                line.data,
                witness=line.link,
                stop_when=lambda: line.server.tries_while_down() > POLITE_TRIES,
            )
        tries = line.server.tries_while_down()
        if tries > POLITE_TRIES:
            raise Unmet(
                f"The server was down for {DOWN_FOR:g} s and got more than "
                f"{POLITE_TRIES} tries in it. Many clients like that keep a server "
                "down: pause 0.1 s, and twice as long after each try that failed."
            )
        expect_delivered(
            line,
            outcome,
            otherwise=f"The server was only down for {DOWN_FOR:g} s. A refused "
            "connection is worth another try: after 0.1 s, then after twice as long "
            "each time.",
        )
    busy = answer(503, "Busy. Try again in a moment.")
    with line_with(data=make_data(PIECE), POST=[busy], PATCH=[busy]) as line:
        outcome = line.upload(trial, most_requests=FEW_REQUESTS)
        expect_delivered(
            line,
            outcome,
            otherwise="503 says 'not now', and a moment later it would have worked. "
            "Errors from 500 on are the server's trouble: pause, and try again.",
        )


@LAB.requirement("409 means: ask where the server stands", limit=10)
def conflict(trial: Trial) -> None:
    with line_with(data=make_data(PIECE), PATCH=[late_bytes]) as line:
        outcome = line.upload(trial, most_requests=FEW_REQUESTS)
        if line.server.sent_again() and not line.server.first_guess():
            raise Unmet(
                "It answered 409 by a second upload. The first one is fine and has "
                "some of your bytes: only your idea of its offset was wrong."
            )
        expect_nothing_sent_again(line)
        expect_delivered(
            line,
            outcome,
            otherwise="409 is no refusal: bytes that you had given up for lost came "
            "through after all. Ask with HEAD and go on from there.",
        )


@LAB.requirement("An upload that is gone is created anew", limit=10)
def expired(trial: Trial) -> None:
    why = (
        "The upload was gone (410: expired; 404: never heard of it), but you still "
        "have the file. Create a new upload and start it at byte 0."
    )
    expires = {"PATCH": [cut_half_way, expire]}
    forgotten = {"PATCH": [cut_half_way], "HEAD": [forget]}
    for faults in (expires, forgotten):
        with line_with(data=make_data(PIECE), **faults) as line:
            outcome = line.upload(trial, most_requests=FEW_REQUESTS)
            if outcome.end is End.STOPPED:
                raise Unmet(f"It made {line.server.count()} requests and more. {why}")
            if outcome.raised("TransportError"):
                raise Unmet(
                    f"It {outcome}. The line was cut, as in requirement 2, before the "
                    "upload was gone: mend that first."
                )
            expect_delivered(line, outcome, otherwise=why)


@LAB.requirement("A refusal is final: it raises, and says which it was", limit=10)
def refused(trial: Trial) -> None:
    too_large = answer(413, "An upload may have at most 1,000 bytes here.")
    forbidden = answer(403, "You may not write to this upload.")
    for status, method, fault in ((413, "POST", too_large), (403, "PATCH", forbidden)):
        with line_with(data=make_data(PIECE), **{method: [fault] * 1000}) as line:
            outcome = line.upload(trial, most_requests=FEW_REQUESTS)
            expect_refusal(line, outcome, status, method)


def expect_refusal(line: Line, outcome: Outcome, status: int, method: str) -> None:
    tried = f"The server answered {status} to {method}"
    if (requests := line.server.count(method)) > REFUSED_REQUESTS:
        raise Unmet(
            f"{tried} and was asked {requests} times. A refusal (4xx, but for 404, "
            "409 and 410) will be the same next time: raise at once."
        )
    if outcome.end is not End.RAISED:
        raise Unmet(
            f"{tried}, and yet it {outcome}. Whoever called it believes that the file "
            "is safe: look at the status, and raise."
        )
    if str(status) not in str(outcome.error):
        raise Unmet(
            f"{tried}, and it raised {outcome.error}. That looks like an accident: "
            "look at the status before anything else (response.raise_for_status()), "
            f"so that the error names {status}."
        )


@LAB.requirement("When nothing moves any more, it gives up", limit=15)
def gives_up(trial: Trial) -> None:
    with line_with(data=make_data(PIECE)) as line, line.server.restarting(None):
        server = line.server
        outcome = trial.call(
            line.url,
            line.data,
            witness=line.link,
            stop_when=lambda: server.tries_while_down() > TRIES_WHEN_DEAD,
        )
        if outcome.end in (End.TIMED_OUT, End.STOPPED):
            raise Unmet(
                "The server went away for good, and it still tried "
                f"({server.tries_while_down()} times). Nobody waits for ever: after "
                "six tries in a row that moved nothing, raise."
            )
        if outcome.end is not End.RAISED:
            raise Unmet(
                f"The server went away for good, and yet it {outcome}. Raise the last "
                "error, so that the caller knows."
            )
