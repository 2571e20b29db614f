"""The requirements of lab 3a, part 2: a client that comes back, and misses nothing.

A verdict rests on what the server saw and on what was heard. Where a time is judged it
is a lower bound: the server's clock for a pause starts before the client's can, so
that a busy machine makes it longer and never shorter.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from helpers.lesson.check import Lab, Trial, Unmet
from helpers.lesson.check_process import End, Outcome
from helpers.servers import sse
from helpers.show.canvas import Chart
from labs.checks.lab3a_hostile_stream import (
    Connection,
    HostileStream,
    answer,
    block_of,
    cut,
    end,
    event_of,
    finish,
    go_down,
    hang_up,
    reset,
    say,
    serve,
)
from labs.checks.timeline import Stay, draw_stays

__all__ = ["CLIENT"]

PAUSE = 0.5  # seconds between two connections, until the server says otherwise
TOLD = 0.9  # seconds, what the server says
# A sleep may end a little early by another clock.
EXACT = 0.9
SOON = sse.retry(0.02)  # so that a run with many cuts is quick
LONG = 600.0  # seconds: a pause in which one is cancelled
SILENCE = 5.5  # seconds; httpx has a time-out of 5 s that nobody asked for
AFTERWARDS = 5.0  # seconds; whatever still goes on then does not end


async def call_listen(
    listen: Callable, url: str, notebook: tuple[str, int], tidy: bool
) -> Any:
    """In the child; cancelled when the server says so. What is heard goes there."""
    os.environ["no_proxy"] = "*"  # what is on loopback goes through no proxy
    reader, writer = await asyncio.open_connection(*notebook)

    def note(**words: Any) -> None:
        writer.write(json.dumps(words, default=repr).encode() + b"\n")

    call = asyncio.create_task(listen(url, lambda event: note(heard=event)))
    word = asyncio.create_task(reader.readline())
    await asyncio.wait([call, word], return_when=asyncio.FIRST_COMPLETED)
    if word.done():
        call.cancel()
        await asyncio.wait([call])
    else:
        word.cancel()
        await asyncio.wait([word])
    note(tidy=tidy)
    await reader.readline()  # now all is noted
    writer.close()
    return await call


def draw_connections(connections: Sequence[Connection], title: str) -> Chart | None:
    """A bar for each connection; its name says where it wanted to go on."""
    return draw_stays(
        [
            Stay(
                f"{c.number}, after {c.last_event_id or 'nothing'}"[:24],
                c.came,
                c.went,
                c.outcome,
            )
            for c in connections
        ],
        title,
    )


CLIENT = Lab(
    "lab3a",
    "listen",
    ["url", "on_event"],
    driver=call_listen,
    draw=draw_connections,
    drawn="The connections that the server saw",
)
requirement = CLIENT.requirement


# -- running and judging --------------------------------------------------------------


def hear(
    trial: Trial,
    server: HostileStream,
    *,
    tidy: bool = False,
    stop_when: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run the learner's function; stop it once the verdict is certain.

    Coming back after a 204 has a requirement of its own, so that it only ends the run.
    """
    return trial.call(
        server.make_url("/stream"),
        server.notebook,
        tidy,
        witness=server,
        stop_when=lambda: server.after_dismissal() > 0 or stop_when(),
    )


def expect_end(server: HostileStream, outcome: Outcome, otherwise: str) -> None:
    """It came as far as the server's 204; ``otherwise`` explains what it did not do.

    What it makes of the 204 is for another requirement.
    """
    if server.dismissed:
        return
    if outcome.end is End.RETURNED:
        raise Unmet(
            "It returned before the server had answered 204. A stream that ends, or "
            "breaks, is only a pause: wait, and connect again."
        )
    raise Unmet(f"It {outcome}. {otherwise}".rstrip())


def expect_heard(server: HostileStream, total: int, why: str) -> None:
    """Events 1 to ``total``, each once and in order."""
    due = [event_of(number) for number in range(1, total + 1)]
    if server.heard == due:
        return
    strange = [event for event in server.heard if event not in due]
    if strange:
        raise Unmet(f"It heard {strange[0]!r:.100}, which was never sent so. {why}")
    missing = [event[2] for event in due if event not in server.heard]
    if missing:
        raise Unmet(f"It never heard event {missing[0]} of {total}. {why}")
    twice = [event[2] for event in due if server.heard.count(event) > 1]
    if twice:
        raise Unmet(f"It heard event {twice[0]} more than once. {why}")
    raise Unmet(f"It heard all {total} events, and not in their order.")


def expect_no_cut_to_be_final(server: HostileStream, outcome: Outcome) -> None:
    expect_end(
        server,
        outcome,
        "A connection that breaks, or that nobody accepts, is no reason to give up: "
        "catch httpx.TransportError, wait, and connect again.",
    )


# -- one stream -----------------------------------------------------------------------


@requirement("The events of one stream are heard", limit=15)
def hears(trial: Trial) -> None:
    with HostileStream(serve(3)) as server:
        outcome = hear(trial, server)
        heard = list(server.heard)
    if not server.connections:
        raise Unmet(f"It {outcome}, and never asked for the stream.")
    if outcome.end is End.RAISED and not server.dismissed:
        raise Unmet(f"It {outcome}.")
    if not heard:
        raise Unmet(
            "The stream had three events, and on_event was never called. Call "
            "on_event(event) with each event that your EventStream gives you."
        )
    expect_heard(
        server,
        3,
        "Hand over each event as your EventStream gives it: a tuple (type, data, id).",
    )


@requirement("It asks for an event stream", limit=15)
def asks(trial: Trial) -> None:
    with HostileStream() as server:
        outcome = hear(trial, server)
    if not server.connections:
        raise Unmet(f"It {outcome}, and never asked.")
    first = server.connections[0]
    if "text/event-stream" not in (first.accept or ""):
        raise Unmet(
            f"It sent Accept: {first.accept}. Say Accept: text/event-stream. There are "
            "proxies that keep a whole answer back, unless a request says so."
        )
    if first.last_event_id is not None:
        raise Unmet(
            f"Its first request said Last-Event-ID: {first.last_event_id!r}, and it "
            "has heard nothing yet. Leave that header out until there is an id: to "
            "many servers an empty one is a mistake."
        )


@requirement("Each event is heard when it comes", limit=30)
def live(trial: Trial) -> None:
    total = 3

    async def wait_for_each(
        server: HostileStream, connection: Connection, request: web.Request
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=sse.HEADERS)
        await response.prepare(request)
        for number in range(1, total + 1):
            await response.write(block_of(number))
            await server.until_heard(number)
        return await end(connection, request, response)

    with HostileStream(wait_for_each) as server:
        outcome = hear(trial, server, stop_when=lambda: server.stalled)
    if server.stalled:
        raise Unmet(
            f"Event {len(server.heard) + 1} was sent and not heard, and the server "
            "waited for that before it sent the next. Do not wait for the end of the "
            "answer, nor for a certain number of bytes: client.stream() and "
            "response.aiter_bytes() give you each chunk as it comes."
        )
    expect_end(server, outcome, "The server was well, and sent one event at a time.")


@requirement("A quiet stream is left in peace", limit=30)
def quiet(trial: Trial) -> None:
    async def fall_quiet(
        server: HostileStream, connection: Connection, request: web.Request
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=sse.HEADERS)
        await response.prepare(request)
        await response.write(SOON + block_of(1))
        await asyncio.sleep(SILENCE)
        await response.write(block_of(2))
        return await end(connection, request, response)

    def gave_up() -> bool:
        return any(c.outcome == "client hung up" for c in list(server.connections))

    with HostileStream(fall_quiet) as server:
        outcome = hear(trial, server, stop_when=gave_up)
        impatient = gave_up()
    if impatient:
        raise Unmet(
            "Nothing happened for five seconds, and it hung up. On a stream that is "
            "normal: minutes may pass between two goals. httpx has a time-out of 5 s "
            "unless you say otherwise: timeout=None, or httpx.Timeout(10, read=None)."
        )
    expect_end(server, outcome, "The stream was quiet for 5.5 s, and well.")


# -- many streams ---------------------------------------------------------------------


@requirement("Over cuts no event is missing, and none comes twice", limit=20)
def resumes(trial: Trial) -> None:
    total = 8
    acts = [
        serve(2, first=SOON),
        serve(2, ending=cut),
        serve(1, ending=reset),
        serve(0, ending=cut),
        serve(1),
    ]
    with HostileStream(*acts, otherwise=finish(total)) as server:
        outcome = hear(trial, server)
    expect_no_cut_to_be_final(server, outcome)
    expect_heard(
        server,
        total,
        "When it comes back, a client says how far it got: Last-Event-ID, with your "
        "stream's last_event_id. The server goes on after that.",
    )


@requirement("What a cut left unfinished is forgotten", limit=20)
def cut_short(trial: Trial) -> None:
    def behind_the_id(block: bytes) -> int:
        return block.index(b"event")

    def within_a_character(block: bytes) -> int:
        return block.index("ü".encode()) + 1

    def before_the_blank_line(block: bytes) -> int:
        return len(block) - 1

    total = 8
    places = [behind_the_id, before_the_blank_line, within_a_character]
    acts = [serve(1, first=SOON, piece=place) for place in places]
    with HostileStream(*acts, otherwise=finish(total)) as server:
        outcome = hear(trial, server)
    expect_end(server, outcome, "The stream ended within an event.")
    expect_heard(
        server,
        total,
        "The stream ended within an event, and the next one sends that event whole. So "
        "each connection begins with a new EventStream(last_event_id), and an id "
        "counts only with the blank line that ends its event.",
    )


@requirement("The id goes back as it came, whatever it says", limit=20)
def any_id(trial: Trial) -> None:
    acts = [
        say(SOON + "id: Zürich 9\ndata: a\n\n".encode()),
        say(b"id: 7f/3a\n\n"),
        say(b"data: b\n\n"),
        say(b"id\ndata: c\n\n"),
    ]
    explained = [
        (
            "Zürich 9",
            "An id is any text. In a header it is UTF-8: httpx takes ASCII "
            "only from a str, so hand it bytes (last_event_id.encode()).",
        ),
        (
            "7f/3a",
            "A block of nothing but an id is no event, and its id counts. Ask "
            "your stream (last_event_id), and not the last event.",
        ),
        (
            "7f/3a",
            "The stream before had no id at all, so the older one still holds: "
            "EventStream(last_event_id) begins with it.",
        ),
        (
            None,
            "The last id that came was empty, which means: forget it. Then the "
            "header is left out.",
        ),
    ]
    with HostileStream(*acts) as server:
        outcome = hear(trial, server)
    came_back = server.connections[1:]
    for connection, (due, why) in zip(came_back, explained, strict=False):
        if connection.last_event_id != due:
            raise Unmet(
                f"Connection {connection.number} said Last-Event-ID: "
                f"{connection.last_event_id!r} instead of {due!r}. {why}"
            )
    next_one = min(len(came_back), len(explained) - 1)
    expect_end(server, outcome, explained[next_one][1])


# -- between two streams --------------------------------------------------------------


@requirement("A server that is not there is tried again", limit=20)
def comes_back(trial: Trial) -> None:
    total = 3
    acts = [serve(1, first=SOON), hang_up, go_down]
    with HostileStream(*acts, otherwise=finish(total)) as server:
        outcome = hear(trial, server)
    expect_no_cut_to_be_final(server, outcome)


@requirement("It waits before it connects again", limit=20)
def waits(trial: Trial) -> None:
    # Cut with its headers sent: before those some clients ask again by themselves.
    with HostileStream(serve(1), serve(0, ending=cut), serve(1)) as server:
        outcome = hear(trial, server)
        pauses = server.pauses()[:3]
    if pauses and min(pauses) < EXACT * PAUSE:
        before = server.connections[pauses.index(min(pauses))]
        raise Unmet(
            f"Connection {before.number} {_how(before)}, and {min(pauses):.2f} s later "
            f"it was there again. Wait {PAUSE} s before every new connection, whatever "
            "ended the last one: a server that ends streams, or is in trouble, must "
            "not be hammered."
        )
    expect_end(server, outcome, "")


def _how(connection: Connection) -> str:
    return "broke" if connection.outcome == "cut" else "ended well"


@requirement("It waits as long as retry says, from then on", limit=20)
def heeds_retry(trial: Trial) -> None:
    acts = [serve(1, first=sse.retry(TOLD)), serve(1)]
    with HostileStream(*acts) as server:
        outcome = hear(trial, server)
        pauses = server.pauses()[:2]
    told = f"The first stream said retry: {TOLD * 1000:.0f} (milliseconds)"
    if pauses and pauses[0] < EXACT * TOLD:
        raise Unmet(
            f"{told}, and {pauses[0]:.2f} s after its end the client was back. Wait as "
            "long as your stream's retry says."
        )
    if len(pauses) > 1 and pauses[1] < EXACT * TOLD:
        raise Unmet(
            f"{told}. After that one the client waited so long, and after the next one "
            f"only {pauses[1]:.2f} s. A new stream has no retry yet, so keep the "
            "number yourself: it holds until another comes."
        )
    expect_end(server, outcome, f"{told}, and then there was a pause for ever.")


# -- the end --------------------------------------------------------------------------


@requirement("204 is the end", limit=15)
def stops(trial: Trial) -> None:
    for acts, told in (
        ([], "The server answered 204"),
        ([serve(1, first=SOON)], "After one stream the server answered 204"),
    ):
        with HostileStream(*acts) as server:
            outcome = hear(trial, server)
        if server.after_dismissal():
            raise Unmet(
                f"{told}, and the client came again. 204 says: nothing more will come. "
                "Return."
            )
        if outcome.end is not End.RETURNED:
            raise Unmet(f"{told}, and it {outcome}. That is no error: return.")


@requirement("Any other status is final, and raised", limit=15)
def refused(trial: Trial) -> None:
    for status in (404, 401, 503):
        with HostileStream(otherwise=answer(status)) as server:
            stop = _came_again(server)
            outcome = hear(trial, server, stop_when=stop)
        told = f"The server answered {status}"
        if stop():
            raise Unmet(
                f"{told}, and the client came again. To an EventSource every status "
                "but 200 is final, 503 too: a server that wants it back ends the "
                "stream instead."
            )
        if outcome.end is not End.RAISED:
            raise Unmet(
                f"{told}, and it {outcome}. Whoever called it believes that all events "
                "were heard: raise (response.raise_for_status())."
            )
        if str(status) not in str(outcome.error):
            raise Unmet(
                f"{told}, and it raised {outcome.error}. Raise an error that names the "
                "status (response.raise_for_status() does)."
            )


def _came_again(server: HostileStream) -> Callable[[], bool]:
    return lambda: len(server.connections) > 1


@requirement("What is no event stream is refused", limit=15)
def wrong_kind(trial: Trial) -> None:
    for kind in ("text/event-stream; charset=utf-8", "Text/Event-Stream"):
        with HostileStream(say(SOON + block_of(1), kind=kind)) as server:
            outcome = hear(trial, server)
        if not server.heard:
            raise Unmet(
                f"An event stream came as Content-Type: {kind}, and it {outcome}. Case "
                "plays no part, and what comes after a ; does not matter here."
            )
    for kind in ("text/html; charset=utf-8", "application/json"):
        with HostileStream(otherwise=say(block_of(1), kind=kind)) as server:
            stop = _came_again(server)
            outcome = hear(trial, server, stop_when=stop)
        told = f"The answer came as Content-Type: {kind}"
        if server.heard:
            raise Unmet(
                f"{told}, and it took that for an event stream. Look at the type "
                "first: it may be the page of a login, or of a proxy."
            )
        if stop():
            raise Unmet(
                f"{told}, and the client came again. It will be the same next time: "
                "raise."
            )
        if outcome.end is not End.RAISED or kind.split(";")[0] not in str(
            outcome.error
        ):
            raise Unmet(
                f"{told}, and it {outcome}. Raise an error that names the type, such "
                "as ValueError(...)."
            )


# -- a good citizen -------------------------------------------------------------------


async def hold(
    server: HostileStream, connection: Connection, request: web.Request
) -> web.StreamResponse:
    """A stream that says one thing, and then nothing for ever."""
    response = web.StreamResponse(headers=sse.HEADERS)
    await response.prepare(request)
    await response.write(block_of(1))
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


async def cancel_listening(
    server: HostileStream, connection: Connection, request: web.Request
) -> web.StreamResponse:
    """The client is cancelled while it listens, when it has heard something."""

    async def cancel_when_heard() -> None:
        await server.until_heard(1)
        server.cancel_client()

    async with asyncio.TaskGroup() as group:
        group.create_task(cancel_when_heard())
        return await hold(server, connection, request)


async def cancel_waiting(
    server: HostileStream, connection: Connection, request: web.Request
) -> web.StreamResponse:
    """The client is cancelled in the pause behind this stream."""
    asyncio.get_running_loop().call_later(0.3, server.cancel_client)
    return await serve(1, first=sse.retry(LONG))(server, connection, request)


@requirement("When it is cancelled it ends at once", limit=20)
def cancelled(trial: Trial) -> None:
    for act, when in (
        (cancel_listening, "while it listened"),
        (cancel_waiting, "while it waited between two connections"),
    ):
        with HostileStream(act, otherwise=hold) as server:
            outcome = hear(trial, server, stop_when=_goes_on(server))
        told = f"Its caller cancelled it {when}"
        if server.cancelled is None:
            raise Unmet(
                f"Its caller wanted to cancel it {when}, and could not: "
                f"{'it heard nothing' if server.stalled else f'it {outcome}'}."
            )
        if outcome.end in (End.STOPPED, End.TIMED_OUT):
            raise Unmet(
                f"{told}, and {AFTERWARDS:g} s later it still ran. Let CancelledError "
                "through: it is no Exception, so do not catch it by a bare except or "
                "BaseException, or raise it again."
            )
        if not outcome.raised("CancelledError"):
            raise Unmet(
                f"{told}, and it {outcome}. Whoever cancels waits for CancelledError: "
                "let it through. (A bare except or BaseException catches it.)"
            )


def _goes_on(server: HostileStream) -> Callable[[], bool]:
    def goes_on() -> bool:
        moment = server.cancelled
        late = moment is not None and time.monotonic() - moment > AFTERWARDS
        return server.stalled or (late and not server.over)

    return goes_on


@requirement("When it is over, no task and no connection stays", limit=20)
def tidy(trial: Trial) -> None:
    for act, how in (
        (serve(1, first=SOON), "returned"),
        (answer(404), "was refused"),
        (cancel_listening, "was cancelled"),
    ):
        with HostileStream(act) as server:
            outcome = hear(trial, server, tidy=True, stop_when=_goes_on(server))
        if outcome.left:
            names = ", ".join(f"{name}()" for name in sorted(set(outcome.left))[:3])
            raise Unmet(
                f"When it {how}, tasks of its own were still there ({names}). Whoever "
                "starts a task ends it: a TaskGroup does, or cancel it and await it."
            )
        if server.left_open:
            raise Unmet(
                f"When it {how}, its connection was still open. Whoever opens a client "
                "closes it, whatever happens: `async with httpx.AsyncClient(...) as "
                "client:`."
            )


@requirement("It never blocks the event loop", limit=20)
def unblocked(trial: Trial) -> None:
    with HostileStream(serve(1, first=sse.retry(0.5)), serve(1)) as server:
        outcome = hear(trial, server)
    if outcome.blocked:
        raise Unmet(
            f"It stood still, and all other tasks with it, at {outcome.blocked[0]}. "
            "time.sleep() and clients without await hold the only thread that there "
            "is: await asyncio.sleep(), and a client that awaits."
        )
