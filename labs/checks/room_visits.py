"""What happens in the chat room of lab 3b while a requirement is tried on it.

Each visit lets guests in, lets something happen, and says what they saw: facts, which
the requirements judge (lab3b_chat_room.py). It runs in the child.

Whoever speaks much waits every now and then until all who listen have heard it. So
nobody who reads is ever far behind, however busy the machine is.
"""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from labs.checks.room_guests import Guest
from labs.checks.room_house import (
    BEAT,
    House,
    Lateness,
    RunRoom,
    Trouble,
    house,
    tasks_left,
    until,
)

__all__ = ["BAD_FRAMES", "KEPT", "LONGEST", "visit"]

KEPT = 20  # messages, for whoever comes later
LONGEST = 2_000  # characters of a text
TOO_LARGE = 40_000  # bytes of a message; 32 KiB are the most
AT_ONCE = 25  # messages that one says before it waits for the others
FLOOD = 4_000_000  # bytes; a room may keep 1,000,000 of them for one client

LONG = 120.0  # seconds: a patience that plays no part
PATIENCES = (0.5, 1.0, 2.0)  # seconds, of rooms that are to find the dead
# Times the patience. If all is well it takes three: until the next ping, until its pong
# is late, and until the close is. The library's defaults are 20 s and 10 s.
DEAD_AFTER = 14
PHASES = 6  # turns of the loop from a message that comes until it has gone out
TASK_BEATS = 100  # looks until what ends by itself has ended
STILL_RUNNING = "still running"

BAD_FRAMES: dict[str, str | bytes] = {
    "this is no JSON": "hello",
    "a list": "[]",
    "a text without an object around it": '"hello"',
    "no object": "null",
    "an object without a text": '{"say": "hello"}',
    "a number for a text": '{"text": 5}',
    "an empty text": '{"text": ""}',
    "bytes that are no UTF-8": b"\xff\xfe",
}

TEXTS = [
    'She said "no"',
    "a\\b",
    "two\nlines",
    "<b>bold</b> & more",
    "{name} %s",
    "grüße 🎉",
]

Saw = dict[str, Any]
Happening = Callable[[House], Awaitable[Saw]]


async def visit(run_room: RunRoom, name: str) -> Saw:
    """Make one visit; what was seen, or under "trouble" why it could not go on."""
    return await _visits[name](run_room)


# -- plain cases -----------------------------------------------------------------------


async def talk(here: House) -> Saw:
    """Three come in, and each says something."""
    guests = await here.enter("Ada", "Ben", "Cleo")
    await here.until(lambda: all(len(guest.members) == 3 for guest in guests))
    members = {guest.name: guest.members for guest in guests}
    said = []
    for guest in guests:
        said.append((guest.name, f"hello from {guest.name}"))
        guest.say(said[-1][1])
        if not await here.all_hear(guests, len(said)):
            break
    return {
        "said": said,
        "heard": {guest.name: guest.lines() for guest in guests},
        "members": members,
        "strange": [text for guest in guests for text in guest.strange],
    }


async def exact(here: House) -> Saw:
    """Texts that are easily broken, and one who says that it is somebody else."""
    ada, ben = await here.enter("Ada", "Ben")
    said = [(ada.name, text) for text in [*TEXTS, "I am Ben"]]
    for count, (_, text) in enumerate(said, start=1):
        more = {"from": "Ben", "type": "members"} if text == "I am Ben" else {}
        ada.send(json.dumps({"text": text} | more))
        if not await here.all_hear([ben], count):
            break
    return {"said": said, "heard": ben.lines()}


async def order(here: House) -> Saw:
    """Three speak at once, and one only listens."""
    guests = await here.enter("Ada", "Ben", "Cleo", "Dan")
    speakers, rounds, each = guests[:3], 6, 12
    names = [guest.name for guest in speakers]
    for turn in range(rounds):
        for guest in speakers:
            # Long ones between short ones, for who treats them differently.
            numbers = range(turn * each, (turn + 1) * each)
            guest.say(*(f"{n} {'x' * (1000 if n % 3 == 0 else 1)}" for n in numbers))
        if not await here.all_hear(guests, (turn + 1) * each * len(speakers)):
            break
    heard = {
        guest.name: [(who, int(text.split()[0])) for who, text in guest.lines()]
        for guest in guests
    }
    return {"heard": heard, "said": rounds * each, "speakers": names}


async def leaving(here: House) -> Saw:
    """One after another goes, each in a way of its own."""
    ada, ben, cleo, dan, *eves = await here.enter(
        "Ada", "Ben", "Cleo", "Dan", "Eve", "Eve"
    )
    staying = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Eve"]
    ways = {
        "Ben said goodbye (a close frame)": (ben, ben.say_goodbye),
        "Cleo's connection ended without a goodbye": (cleo, cleo.hang_up),
        "Dan's connection was cut (a reset)": (dan, dan.cut),
        "one of two that are both called Eve went": (eves[0], eves[0].say_goodbye),
    }

    def listed() -> bool:
        return sorted(ada.members) == staying

    await here.until(listed)
    for way, (guest, go) in ways.items():
        go()
        staying.remove(guest.name)
        if not await here.until(listed):
            return {"way": way, "members": ada.members, "staying": staying}
    return {"way": None}


# -- slow ones -------------------------------------------------------------------------


async def slow(here: House) -> Saw:
    """One never reads, two talk on."""
    slow, ada, ben = await here.enter("Slow", "Ada", "Ben")
    slow.stop_reading()
    said = await _flood(here, ada, [ada, ben], lambda: "Slow" not in ada.members)
    return {
        "said": said,
        "heard": min(len(ada.heard), len(ben.heard)),
        "thrown_out": [guest.name for guest in (ada, ben) if guest.thrown_out],
    }


async def bounded(here: House) -> Saw:
    """One pauses, and comes back in time; another never does."""
    late, ada, ben = await here.enter("Late", "Ada", "Ben")
    late.stop_reading()
    if not await _say_100(here, ada, [ada, ben]):
        return {"stood_still": True}
    late.read_on()
    await here.all_hear([late], 100)
    saw = {"stood_still": False, "late": len(late.heard), "late_out": late.thrown_out}
    if late.thrown_out or len(late.heard) < 100:
        return saw
    [slow] = await here.enter("Slow")
    slow.stop_reading()

    def is_out() -> bool:
        return "Slow" not in ada.members

    await here.until(lambda: "Slow" in ada.members)
    said = await _flood(here, ada, [ada, ben], is_out)
    all_heard = min(len(ada.heard), len(ben.heard)) >= said
    if all_heard:
        await here.until(is_out, beats=100)
    out = [guest.name for guest in (ada, ben) if guest.thrown_out]
    stood_still = not (all_heard or is_out())
    return saw | {"cut": is_out(), "thrown_out": out, "stood_still": stood_still}


async def _say_100(here: House, speaker: Guest, listeners: list[Guest]) -> bool:
    """100 messages of 1,000 characters; whether the listeners heard them all."""
    for said in range(0, 100, AT_ONCE):
        speaker.say(*(f"{said + n} ".ljust(1000, "x") for n in range(AT_ONCE)))
        if not await here.all_hear(listeners, said + AT_ONCE):
            return False
    return True


async def _flood(
    here: House, speaker: Guest, listeners: list[Guest], enough: Callable[[], bool]
) -> int:
    """Say much; how many messages all that was since they came."""
    said = len(speaker.heard)
    text = "x" * (LONGEST - 10)
    end = said + FLOOD // LONGEST
    while said < end and not enough():
        speaker.say(*[text] * AT_ONCE)
        said += AT_ONCE
        if not await here.all_hear(listeners, said) or speaker.went:
            break
    return said


# -- trouble ---------------------------------------------------------------------------


async def vanished(here: House) -> Saw:
    """One is silent for ever, and its connection stays; others listen only."""
    vic, ada, ben = await here.enter("Vic", "Ada", "Ben")
    vic.stop_reading()
    noticed = await here.until(
        lambda: "Vic" not in ada.members or ada.went,
        beats=beats_until_dead(here.patience),
    )
    await asyncio.sleep(2 * here.patience)
    out = [guest.name for guest in (ada, ben) if guest.thrown_out]
    return {"noticed": noticed, "thrown_out": out, "sure": not out}


def beats_until_dead(patience: float) -> int:
    """In so many looks whoever is dead must be found."""
    return int(DEAD_AFTER * patience / BEAT)


async def isolated(here: House) -> Saw:
    """Others go at the very moment at which somebody speaks."""
    ada, ben = await here.enter("Ada", "Ben")
    said = 0
    for turn in range(3 * PHASES):
        others = await here.enter("Cleo", "Dan", "Eve")
        ada.say(*map(str, range(10)))
        for _ in range(turn % PHASES):  # let the room come so far with that
            await asyncio.sleep(0)
        for guest in others:
            guest.cut()
        await asyncio.sleep(0)  # now their resets are on their way
        ada.say(*map(str, range(10)))
        said += 20
        if not await here.all_hear([ada, ben], said) or ada.went or ben.went:
            break
    return {
        "heard": min(len(ada.heard), len(ben.heard)),
        "said": said,
        "thrown_out": [guest.name for guest in (ada, ben) if guest.thrown_out],
    }


async def checked(here: House) -> Saw:
    """One sends what is no message."""
    ada, ben = await here.enter("Ada", "Ben")
    for count, (what, frame) in enumerate(BAD_FRAMES.items(), start=1):
        ada.send(frame)
        outcome = await _refused(here, ada, ben, count)
        if outcome != "refused":
            return {"what": what, "frame": repr(frame), "outcome": outcome}
    return {"outcome": "refused"} | await _talks_on(here, ada, ben)


async def too_long(here: House) -> Saw:
    """The longest text, one that is longer, and a message that is larger than any."""
    ada, ben, cleo = await here.enter("Ada", "Ben", "Cleo")
    ada.say("🎉" * LONGEST)  # in JSON's escapes 12 bytes each
    await here.all_hear([ben], 1)
    if not ben.heard or ada.went:
        return {"longest": False}
    ben.heard.clear()
    ada.say("x" * (LONGEST + 1))
    outcome = await _refused(here, ada, ben, 1)
    saw = {"longest": True, "outcome": outcome}
    if outcome != "refused":
        return saw
    cleo.say("x" * TOO_LARGE)
    await here.until(lambda: cleo.close_code or cleo.went or cleo.errors)
    return saw | {"close_code": cleo.close_code} | await _talks_on(here, ada, ben)


async def _refused(here: House, speaker: Guest, other: Guest, count: int) -> str:
    """What became of its frame; it had ``count`` refusals by now, if all is well."""
    await here.until(
        lambda: len(speaker.errors) >= count or speaker.thrown_out or other.heard
    )
    if speaker.thrown_out:
        return "closed"
    if other.heard:
        return "passed on"
    if other.errors:
        return "told others"
    if len(speaker.errors) < count:
        return "nothing"
    detail = speaker.errors[-1].get("detail")
    return "refused" if detail and isinstance(detail, str) else "without detail"


async def _talks_on(here: House, ada: Guest, ben: Guest) -> Saw:
    """Whether one is still heard by the other, who had heard nothing yet."""
    ada.say("still here")
    await here.all_hear([ben], 1)
    return {"talks_on": ben.lines() == [("Ada", "still here")]}


# -- what is kept ----------------------------------------------------------------------


async def history(here: House) -> Saw:
    """One comes when much was said; others while it is said."""
    [ada] = await here.enter("Ada")
    ada.say(*map(_numbered, range(50)))
    await here.all_hear([ada], 50)
    [ben] = await here.enter("Ben")
    await here.until(lambda: len(ben.heard) >= KEPT)
    # A room that sends more may take longer: that is heard before the next message.
    ada.say(_numbered(50))
    await here.until(_have_heard(50, [ben]))
    late = _numbers(ben)
    newcomers, said = [], 51
    for _ in range(8):
        # While it does not read, a room that waits for it has not yet let it in.
        newcomers += await here.enter("Cleo", reads=False)
        ada.say(*map(_numbered, range(said, said + 4)))
        goes_on = await here.until(_have_heard(said + 3, [ada]))
        newcomers[-1].read_on()
        ada.say(_numbered(said + 4))
        if not await here.until(_have_heard(said + 4, newcomers)) or not goes_on:
            break
        said += 5
    return {
        "late": late[:-1] if late[-1:] == [50] else late,
        "newcomers": [_numbers(guest) for guest in newcomers],
        "last": max(_numbers(ada), default=0),
    }


def _numbered(number: int) -> str:
    """So long that 20 of them wait on their way: 3 KB each, in JSON's escapes."""
    return f"{number} ".ljust(500, "ü")


def _have_heard(number: int, guests: list[Guest]) -> Callable[[], bool]:
    guests = list(guests)
    return lambda: all(number in _numbers(guest) for guest in guests)


def _numbers(guest: Guest) -> list[int]:
    return [int(text.split()[0]) for _, text in guest.lines()]


async def forgets(here: House) -> Saw:
    """Much is said, and nothing of it is kept."""
    [ada] = await here.enter("Ada")
    tracemalloc.start()
    try:
        await _say_and_forget(here, ada, 100)
        before = _memory()
        await _say_and_forget(here, ada, 1000)
        return {"kept": _memory() - before, "said": 1000 * LONGEST}
    finally:
        tracemalloc.stop()


async def _say_and_forget(here: House, ada: Guest, count: int) -> None:
    for number in range(0, count, AT_ONCE):
        # Texts that differ, or one string could stand for all.
        texts = (f"{number + n} ".ljust(LONGEST, "x") for n in range(AT_ONCE))
        ada.say(*texts)
        await here.all_hear([ada], AT_ONCE)
        ada.heard.clear()


def _memory() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def tidy(here: House) -> Saw:
    """Many come and go, and somebody stays."""
    [ada] = await here.enter("Ada")
    ada.say("hello")
    await here.all_hear([ada], 1)
    before = _names(tasks_left())
    for turn in range(5):
        guests = await here.enter("Ben", "Cleo", "Dan", "Eve")
        for guest in guests:
            guest.say_goodbye() if turn % 2 else guest.cut()
        await here.until(lambda: all(guest.went for guest in guests))  # noqa: B023
    await here.until(lambda: _names(tasks_left()) <= before, beats=TASK_BEATS)
    return {"left": dict(_names(tasks_left()) - before)}


async def stopped(here: House) -> Saw:
    """The room is cancelled: two listen, one is slow, and one answers nothing."""
    ada, ben, slow, vic = await here.enter("Ada", "Ben", "Slow", "Vic")
    slow.stop_reading()
    if not await _say_100(here, ada, [ada, ben]):
        return {"stood_still": True, "sure": True}
    vic.stop_reading()
    # Until a ping has been sent, and nobody has been found dead for it.
    await asyncio.sleep(1.5 * here.patience)

    def left() -> Counter[str]:
        return _names(task for task in tasks_left() if task is not here.running)

    here.running.cancel()
    await until(here.running.done, beats=beats_until_dead(here.patience))
    await until(lambda: not left(), beats=TASK_BEATS)
    goodbyes = {guest.name: guest.close_code for guest in (ada, ben)}
    ended = _how_it_ended(here.running)
    all_told = ended == "cancelled" and set(goodbyes.values()) == {1001}
    return {
        "stood_still": False,
        "ended": ended,
        "left": dict(left()),
        "goodbyes": goodbyes,
        "sure": all_told or ended == STILL_RUNNING,
    }


def _names(tasks: Iterable[asyncio.Task]) -> Counter[str]:
    """How many there are, by the names of their coroutines."""
    return Counter(f"{task.get_coro().__name__}()" for task in tasks)


def _how_it_ended(running: asyncio.Task) -> str:
    if not running.done():
        return STILL_RUNNING
    if running.cancelled():
        return "cancelled"
    error = running.exception()
    return "returned" if error is None else f"raised {type(error).__name__}: {error}"


# -- all of them -----------------------------------------------------------------------


async def _stay(run_room: RunRoom, patience: float, happening: Happening) -> Saw:
    """Let it happen in a new room; who was there, and what went wrong."""
    async with house(run_room, patience) as here:
        try:
            saw = await happening(here)
        except Trouble as trouble:
            saw = {"trouble": str(trouble)}
        await here.hear_of_failures()
        saw["stays"] = here.stays()
    return saw | {"error": here.failures.last}


def _in_house(happening: Happening) -> Callable[[RunRoom], Any]:
    """A visit to a room whose patience plays no part."""

    async def make(run_room: RunRoom) -> Saw:
        return await _stay(run_room, LONG, happening)

    return make


def _with_patience(happening: Happening) -> Callable[[RunRoom], Any]:
    """A visit that waits for the room's patience to end.

    It says whether it is sure of what it saw. If not, and the event loop was so late
    that a pong may have been, too: once more, with twice the patience.
    """

    async def make(run_room: RunRoom) -> Saw:
        for patience in PATIENCES:
            async with Lateness() as lateness:
                saw = await _stay(run_room, patience, happening)
            if saw.get("sure") or lateness.worst < patience / 4:
                break
        return saw | {"patience": patience, "waited": DEAD_AFTER * patience}

    return make


_visits = {
    happening.__name__: _in_house(happening)
    for happening in (
        *(talk, exact, order, leaving, slow, bounded, isolated),
        *(checked, too_long, history, forgets, tidy),
    )
} | {happening.__name__: _with_patience(happening) for happening in (vanished, stopped)}
