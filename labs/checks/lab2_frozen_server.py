"""The requirements of lab 2, part 2: a server that serves others while one waits.

The given server blocks its event loop in three places. Each requirement sends in a
visitor who has to wait, and others who only say hello (shop_visitors.py).
"""

from __future__ import annotations

from typing import Any

from helpers.lesson.check import Lab, Trial, Unmet
from helpers.lesson.check_process import End
from helpers.server import HTTPServer
from labs.checks.timeline import Stay, draw_stays

__all__ = ["SHOP"]

LIMIT = 30.0  # seconds: several times the patience of a visit


async def visit_shop(shop: type[HTTPServer], visit: str) -> dict[str, Any]:
    """In the child: what visitors saw, by the name of what they came for."""
    from labs.checks import shop_visitors

    return (await getattr(shop_visitors, visit)(shop))._asdict()


SHOP = Lab(
    "lab2",
    "VideoShop",
    ["folder", "bank"],
    driver=visit_shop,
    draw=draw_stays,
    drawn="Who waited for whom",
    base=HTTPServer,
    all_at_once=True,
)


def send_in(trial: Trial, visit: str) -> dict[str, Any]:
    """Make one kind of visit; what the visitors saw."""
    outcome = trial.call(visit)
    if outcome.end is not End.RETURNED:
        raise Unmet(f"It {outcome}, and nobody was served.")
    return outcome.value


def expect_served(trial: Trial, visit: str, *, skipped: str, frozen: str) -> None:
    """The visitor got what he came for, and others were greeted meanwhile.

    ``skipped`` says what the shop had to do, ``frozen`` what blocks it.
    """
    saw = send_in(trial, visit)
    trial.capture = [Stay(*stay) for stay in saw["stays"]]
    if saw["status"] != 200:
        raise Unmet(f"It answered {saw['status']}. {saw['error']}".rstrip())
    if not saw["worked"]:
        raise Unmet(f"It answered {saw['text']!r:.60} without {skipped}.")
    if saw["text"] != saw["expected"]:
        raise Unmet(
            f"The answer is not what it was: {saw['text']!r:.60}, and the given server "
            f"says {saw['expected']!r:.60}. Change who waits, and not what is said."
        )
    if any(stay.outcome == "had to wait" for stay in trial.capture):
        raise Unmet(
            f"While one visitor waited, nobody else got as much as a hello: {frozen}"
        )


@SHOP.requirement("Others are served while a file is read", limit=LIMIT)
def subtitles(trial: Trial) -> None:
    expect_served(
        trial,
        "subtitles",
        skipped="reading the file again",
        frozen="reading a file holds the event loop until the disk answers, and files "
        "know no await. Let a thread wait: await asyncio.to_thread(function).",
    )


@SHOP.requirement("Others are served while the bank is asked", limit=LIMIT)
def price(trial: Trial) -> None:
    expect_served(
        trial,
        "price",
        skipped="asking the bank again",
        frozen="httpx.get() holds the event loop until the bank answers, also inside "
        "an async def. A client that awaits (httpx.AsyncClient) lets the loop go on.",
    )


@SHOP.requirement("Others are served while a login is computed", limit=LIMIT)
def login(trial: Trial) -> None:
    expect_served(
        trial,
        "login",
        skipped="computing the key",
        frozen="to compute is to hold the event loop, and there is nothing to await in "
        "it. pbkdf2_hmac() needs no Python while it computes (it releases the GIL), so "
        "a thread is enough: await asyncio.to_thread(function, ...).",
    )


@SHOP.requirement("Several are served at once, and nothing is left", limit=LIMIT)
def crowd(trial: Trial) -> None:
    saw = send_in(trial, "crowd")
    for kind, what in (("files", "a file"), ("prices", "the price")):
        if saw[kind] < 4:
            raise Unmet(
                f"Four asked for {what} at once, and it began with {saw[kind]}: the "
                "others stood in line. Each request may wait on its own: no lock "
                "around it, and more than one thread for what needs a thread."
            )
    if saw["mixed_up"]:
        raise Unmet(f"One of several at once never got his {saw['mixed_up'][0]!r}.")
    if saw["threads"]:
        raise Unmet(
            "It was stopped, and threads of its own were still there "
            f"({', '.join(saw['threads'])}). asyncio.to_thread() keeps none."
        )
    if saw["connections"]:
        raise Unmet(
            "It was stopped, and its connection to the bank was still open. Who opens "
            "a client closes it: `async with httpx.AsyncClient() as client:`."
        )
