"""The requirements of lab 3b: a chat room that survives its guests.

Guests come to the learner's room, and do what guests do (room_visits.py). What they
saw is judged here, each requirement with the misconceptions that it recognises.
Nothing hangs on how quick a machine is: whoever waits in vain is told by turns of the
event loop that room and guests share.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.lesson.check import Lab, Trial, Unmet
from helpers.lesson.check_process import End
from helpers.lesson.check_report import Report, Solution
from labs.checks.timeline import Stay, draw_stays

__all__ = ["LAB", "check", "open_socket", "show_solution"]

KEPT = 20  # messages, for whoever comes later
# Seconds: many times what a visit takes.
LIMIT = 30.0
PATIENT_LIMIT = 120.0  # where it waits for what takes its time
SLOW = "One that never reads holds up nobody"
OPTIONS = "ping_interval, ping_timeout and close_timeout of serve()"


async def visit_room(run_room: Callable, visit: str) -> dict[str, Any]:
    """In the child: what the guests saw."""
    from labs.checks import room_visits

    return await room_visits.visit(run_room, visit)


LAB = Lab(
    "lab3b",
    "run_room",
    ["sock", "patience"],
    driver=visit_room,
    draw=draw_stays,
    drawn="Who was connected",
)

requirement = LAB.requirement


def check(run_room: Callable) -> Report:
    """Check ``run_room``."""
    return LAB.check(run_room)


def show_solution() -> Solution:
    """The solution, folded."""
    return Solution(Path(__file__).parents[1] / "solutions" / Path(__file__).name)


def open_socket() -> socket.socket:
    """A socket that listens on a free port of this machine only."""
    return socket.create_server(("127.0.0.1", 0))


def send_guests(trial: Trial, visit: str) -> dict[str, Any]:
    """Make one visit; what the guests saw."""
    outcome = trial.call(visit)
    if outcome.end is not End.RETURNED:
        raise Unmet(
            f"It {outcome}, while guests were in the room. Whatever one of them does, "
            "the room goes on, until it is cancelled."
        )
    saw = outcome.value
    trial.capture = [Stay(*stay) for stay in saw.get("stays", ())]
    if "trouble" in saw:
        told = saw.get("error", "") in saw["trouble"]
        raise Unmet(saw["trouble"] + ("" if told else _error(saw)))
    return saw


def _error(saw: dict[str, Any]) -> str:
    """What a handler or a task of the room raised, if one did."""
    return f" Your code raised {saw['error']}." if saw.get("error") else ""


def _and(names: list[str]) -> str:
    return " and ".join(names)


def expect_not_thrown_out(saw: dict[str, Any], told: str, why: str) -> None:
    if saw["thrown_out"]:
        raise Unmet(
            f"{told}, and {_and(saw['thrown_out'])} lost the connection. {why}"
            f"{_error(saw)}"
        )


def expect_goes_on(saw: dict[str, Any], asked: str) -> None:
    if saw["stood_still"]:
        raise Unmet(
            f"{asked} could not be seen: one did not read, and the room stood still "
            f"(see '{SLOW}').{_error(saw)}"
        )


# -- everybody hears everything --------------------------------------------------------


@requirement("Everybody in the room hears every message", limit=LIMIT)
def broadcast(trial: Trial) -> None:
    saw = send_guests(trial, "talk")
    said = [tuple(line) for line in saw["said"]]
    names = list(saw["members"])
    for guest, members in saw["members"].items():
        if sorted(members, key=str) != sorted(names):
            raise Unmet(
                f"{_and(names)} are in the room, and {guest} was told {members}. Send "
                "the whole list to all, also to the newcomer, when somebody comes."
                f"{_error(saw)}"
            )
    for guest, heard in saw["heard"].items():
        missing = [line for line in said if line not in heard]
        if not missing and len(heard) == len(said):
            continue
        if not missing:
            raise Unmet(f"{guest} heard some of it twice: {heard}.")
        if saw["strange"]:
            raise Unmet(f"{guest} got {saw['strange'][0]}, which is no message.")
        who, text = missing[0]
        own = " Whoever says it hears it, too." if who == guest else ""
        heard_of = f" It heard {heard}." if heard else ""
        raise Unmet(
            f"{who} said {text!r}, and {guest} did not hear it.{heard_of}{own} A "
            'message to all is {"type": "message", "from": ..., "text": ...}.'
            f"{_error(saw)}"
        )


@requirement("Every text arrives as it was, and from who said it", limit=LIMIT)
def exact(trial: Trial) -> None:
    saw = send_guests(trial, "exact")
    heard = [tuple(line) for line in saw["heard"]]
    for index, (who, text) in enumerate(saw["said"]):
        name, arrived = heard[index] if index < len(heard) else (None, None)
        if arrived is None:
            raise Unmet(
                f"{who} said {text!r}, and nobody could read what arrived. Let "
                f"json.dumps() write the JSON: it knows what to escape.{_error(saw)}"
            )
        if arrived != text:
            raise Unmet(
                f"{who} said {text!r}, and {arrived!r} arrived. Pass it on as it is. "
                "What is escaped for HTML is escaped once, by the page that shows it."
            )
        if name != who:
            raise Unmet(
                f'{who} sent a message with "from": "Ben" in it, and the room said '
                f"that it is from {name}. Take the name of the connection, and the "
                "text alone from what a client sends."
            )


@requirement("All hear all messages in the same order", limit=LIMIT)
def order(trial: Trial) -> None:
    saw = send_guests(trial, "order")
    told = f"{_and(saw['speakers'])} spoke at once"
    everyone = {guest: list(map(tuple, heard)) for guest, heard in saw["heard"].items()}
    said = {(who, n) for who in saw["speakers"] for n in range(saw["said"])}
    for guest, heard in everyone.items():
        lost = said - set(heard)
        if lost or len(heard) > len(said):
            raise Unmet(
                f"{told}, {len(said)} messages in all, and {guest} heard {len(heard)}."
                f"{_error(saw)}"
            )
    for guest, heard in everyone.items():
        for speaker in saw["speakers"]:
            if [n for who, n in heard if who == speaker] != list(range(saw["said"])):
                raise Unmet(
                    f"{told}, and {guest} heard what {speaker} said in another order "
                    "than it was said. A task for each message runs when it likes: "
                    "deal with one after the other."
                )
    if len(set(map(tuple, everyone.values()))) > 1:
        raise Unmet(
            f"{told}, and did not all hear it in the same order. A message goes to all "
            "before the next goes to anybody, and by the same way to its own sender."
        )


@requirement("Whoever goes, in whatever way, leaves the list", limit=LIMIT)
def leaving(trial: Trial) -> None:
    saw = send_guests(trial, "leaving")
    if saw["way"] is None:
        return
    raise Unmet(
        f"Then {saw['way']}. Now {_and(saw['staying'])} are in the room, and the last "
        f"list that Ada got is {saw['members']}. A connection can end by an exception, "
        "so tidy up in `finally`. Two may have the same name: know them by their "
        f"websocket.{_error(saw)}"
    )


# -- slow ones -------------------------------------------------------------------------


@requirement(SLOW, limit=LIMIT)
def slow(trial: Trial) -> None:
    saw = send_guests(trial, "slow")
    told = "Slow never read what it was sent"
    expect_not_thrown_out(
        saw,
        told,
        "What becomes of Slow is no matter of the others. (A set or dict that changes "
        "while a loop goes over it ends the loop: go over list(...).)",
    )
    if saw["heard"] < saw["said"]:
        raise Unmet(
            f"{told}, and after {saw['heard']} messages the others heard nothing any "
            "more. `await websocket.send()` waits until the client has read, and all "
            "wait with it. broadcast() does not wait; or give each client a queue and "
            f"a task that empties it.{_error(saw)}"
        )


@requirement("What waits for one client is bounded, then it goes", limit=LIMIT)
def bounded(trial: Trial) -> None:
    saw = send_guests(trial, "bounded")
    expect_goes_on(saw, "How much waits, and what becomes of that,")
    if saw["late_out"] or saw["late"] < 100:
        raise Unmet(
            "Late did not read for a moment, in which 100 messages of 1,000 characters "
            f"were said. It got {saw['late']} of them"
            f"{' and was disconnected' if saw['late_out'] else ''}. Everybody is "
            "behind now and then: so much must be able to wait."
        )
    if not saw["cut"]:
        expect_not_thrown_out(saw, "Slow never read", f"See '{SLOW}'.")
        raise Unmet(
            "4 MB were said, Slow read nothing, and it is in the room still. Where do "
            "they wait? broadcast() and a queue without maxsize keep all of it, until "
            "the memory is full. Disconnect anyone with more than 1 MB waiting: "
            f"websocket.transport.abort().{_error(saw)}"
        )


# -- trouble ---------------------------------------------------------------------------


@requirement(
    "Whoever vanishes is noticed, whoever only listens stays", limit=PATIENT_LIMIT
)
def vanished(trial: Trial) -> None:
    saw = send_guests(trial, "vanished")
    expect_not_thrown_out(
        saw,
        "Ada and Ben said nothing, but answered each ping",
        "Silence is no crime: ask with a ping, and only one that does not answer is "
        "gone. serve() does that for you.",
    )
    if not saw["noticed"]:
        raise Unmet(
            f"patience was {saw['patience']:g} s. Vic did not answer any more, its "
            f"connection was never closed, and {saw['waited']:g} s later it was "
            f"still on the list. So does a phone in a tunnel. Set {OPTIONS}: the last "
            f"is 10 s unless set, and comes on top.{_error(saw)}"
        )


@requirement("What goes wrong in one connection ends no other", limit=LIMIT)
def isolated(trial: Trial) -> None:
    outcome_of_all = "Three connections broke at the moment at which Ada spoke"
    try:
        saw = send_guests(trial, "isolated")
    except Unmet:
        if trial.outcome is None or trial.outcome.end is not End.RAISED:
            raise
        raise Unmet(
            f"{outcome_of_all}, and the whole room ended: it {trial.outcome}. In a "
            "TaskGroup the first that fails ends all others: catch ConnectionClosed "
            "in the task that it is about."
        ) from None
    expect_not_thrown_out(
        saw,
        outcome_of_all,
        "A send to a connection that is gone raises ConnectionClosed, in the handler "
        "of whoever speaks. That is not Ada's trouble: catch it for each one that is "
        "sent to. (broadcast() leaves out whoever is gone.)",
    )
    if saw["heard"] < saw["said"]:
        raise Unmet(
            f"{outcome_of_all}, and those who stayed did not hear it: the first send "
            f"that failed ended the loop over the others.{_error(saw)}"
        )


@requirement("What is no message gets an error, and nobody else hears it", limit=LIMIT)
def checked(trial: Trial) -> None:
    saw = send_guests(trial, "checked")
    if saw["outcome"] != "refused":
        raise Unmet(f"Ada sent {saw['frame']} ({saw['what']}). {_why_not_refused(saw)}")
    expect_talks_on(saw)


def _why_not_refused(saw: dict[str, Any]) -> str:
    return {
        "closed": "It lost its connection by that. Answer it with an error, and go on: "
        "the next message may be fine.",
        "passed on": "The others heard it. Look at what comes before it goes to all.",
        "told others": "The others were told of the error. Only Ada made it.",
        "nothing": "It got no answer, and does not know that nobody heard it: send it "
        '{"type": "error", "detail": ...}.',
        "without detail": 'Its error has no "detail", a text that says what was wrong.',
    }[saw["outcome"]] + _error(saw)


def expect_talks_on(saw: dict[str, Any]) -> None:
    if not saw["talks_on"]:
        raise Unmet(
            "After that Ada said something proper, and Ben did not hear it, or not "
            f"that alone.{_error(saw)}"
        )


@requirement("What is too long is refused", limit=LIMIT)
def too_long(trial: Trial) -> None:
    saw = send_guests(trial, "too_long")
    if not saw["longest"]:
        raise Unmet(
            "A text of 2,000 characters is not too long, and did not arrive. In JSON "
            f"each of them may take 12 bytes: count the characters of the text."
            f"{_error(saw)}"
        )
    if saw["outcome"] != "refused":
        raise Unmet(f"Ada sent 2,001 characters. {_why_not_refused(saw)}")
    if saw["close_code"] != 1009:
        closed = saw["close_code"]
        what = f"was closed with {closed}" if closed else "was read to its end"
        raise Unmet(
            f"Cleo sent a message of 40,000 bytes, and it {what}. A server that takes "
            "any size keeps it all in memory first: max_size= of serve() is 1 MiB, "
            "unless you set it, and a larger message is refused with 1009."
            f"{_error(saw)}"
        )
    expect_talks_on(saw)


# -- what is kept ----------------------------------------------------------------------


@requirement("Whoever comes later gets the last 20, and no gap after that", limit=LIMIT)
def history(trial: Trial) -> None:
    saw = send_guests(trial, "history")
    late = saw["late"]
    if late != list(range(50 - KEPT, 50)):
        got = f"{len(late)} messages" + (f", the first is {late[0]}" if late else "")
        raise Unmet(
            f"Messages 0 to 49 were said, then Ben came. He got {got}; it should be "
            "the last 20, from 30 to 49, in the order in which they were said. "
            "A deque(maxlen=20) forgets the rest by itself."
        )
    for numbers in saw["newcomers"]:
        _expect_no_gap(numbers, saw["last"])


def _expect_no_gap(numbers: list[int], last: int) -> None:
    told = "Cleo came while Ada spoke"
    why = (
        "Between the history and the place in the room nothing may be said: no await "
        "between them, or the room changes meanwhile."
    )
    twice = [number for number, count in Counter(numbers).items() if count > 1]
    if twice:
        raise Unmet(f"{told}, and heard message {twice[0]} twice. {why}")
    if numbers != sorted(numbers):
        raise Unmet(f"{told}, and heard new messages before old ones. {why}")
    expected = list(range(last - len(numbers) + 1, last + 1))
    if numbers != expected:
        missing = sorted(set(expected) - set(numbers))[-1:]
        raise Unmet(f"{told}, and never heard message {missing[0]}. {why}")


@requirement("It keeps nothing else of what was said", limit=LIMIT)
def forgets(trial: Trial) -> None:
    saw = send_guests(trial, "forgets")
    if saw["kept"] > saw["said"] / 2:
        raise Unmet(
            f"{saw['said'] / 1e6:g} MB were said and heard, and the room has grown by "
            f"{saw['kept'] / 1e6:.1f} MB. A list to which every message is added grows "
            "for ever: a deque(maxlen=20) does not."
        )


@requirement("Whoever went leaves no task behind", limit=LIMIT)
def tidy(trial: Trial) -> None:
    saw = send_guests(trial, "tidy")
    if left := saw["left"]:
        raise Unmet(
            f"20 came and went, and {sum(left.values())} tasks more than before are "
            f"there (of {', '.join(left)}). A task that waits at a queue waits for "
            "ever: cancel it in `finally` when its client is gone."
        )


@requirement("Cancelled it ends, says goodbye, and leaves nothing", limit=PATIENT_LIMIT)
def stopped(trial: Trial) -> None:
    saw = send_guests(trial, "stopped")
    told = "It was cancelled"
    expect_goes_on(saw, "How it ends")
    if saw["ended"] == "still running":
        raise Unmet(
            f"{told}, patience was {saw['patience']:g} s, and {saw['waited']:g} s "
            "later it still ran. To close waits for the client: for close_timeout, "
            "which is 10 s unless set, and without end where it reads nothing and "
            "more than write_limit waits for it. Set both, or "
            f"transport.abort() those that do not end in time.{_error(saw)}"
        )
    if saw["ended"] != "cancelled":
        raise Unmet(
            f"{told}, and it {saw['ended']}. Whoever cancels waits for CancelledError: "
            "do not catch it, or raise it again when you have tidied up."
        )
    if saw["left"]:
        raise Unmet(
            f"{told}, it ended, and tasks of it are still there "
            f"({', '.join(saw['left'])}). Whoever begins a task ends it, in `finally`; "
            "whoever begins to serve closes the server and waits for it: `async with "
            "serve(...)` does both."
        )
    unsaid = [name for name, code in saw["goodbyes"].items() if code != 1001]
    if unsaid:
        code = saw["goodbyes"][unsaid[0]]
        heard = f"closed with {code}" if code else "cut"
        raise Unmet(
            f"{told}, and {unsaid[0]} was {heard}. 1001 says that the server goes, so "
            "that clients come back later: close() of the server sends it."
        )
