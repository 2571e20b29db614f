"""labs/lab3b-chat-room"""

import asyncio
import copy
import threading

import pytest
from websockets.exceptions import ConnectionClosedOK

from labs.checks import room_visits
from labs.checks.lab3b_chat_room import LAB, check, open_socket
from labs.checks.room_guests import Guest
from labs.checks.room_house import House, Lateness, until
from labs.solutions.lab3b_chat_room import Room
from tests.labs.harness import LabProof, load
from tests.labs.lab3b_rooms import QueueRoom, serve_queues, serve_room

PROOF = LabProof("lab3b-chat-room")


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert "lab check_0" not in {thread.name for thread in threading.enumerate()}


def test_the_lab_is_large_enough():
    """Requirements, wrong submissions, and none of the former without the latter."""
    PROOF.assert_enough()


def test_the_stub_passes_nothing():
    """As the notebook comes, nothing is met, and that is soon said."""
    PROOF.assert_stub_passes_nothing()


def test_the_solution_passes_everything():
    """With the same text every time."""
    PROOF.assert_solution_passes()


@pytest.mark.parametrize("path", PROOF.wrong, ids=lambda path: path.stem)
def test_a_wrong_submission_is_caught(path):
    """By the requirement that it names, and by nothing unrelated."""
    PROOF.assert_caught(path)


def test_another_shape_passes():
    """A queue and a task for each client do as well as broadcast()."""

    async def run_room(sock, patience=20.0):
        await serve_queues(QueueRoom(), sock, patience)

    report = check(run_room)
    assert report, f"\n{report}"


def test_an_endless_loop_is_ended(monkeypatch):
    """It ends in a message, within the time limit of one requirement."""
    monkeypatch.setenv("WORKBOOK_TIME_SCALE", "0.1")

    async def run_room(sock, patience=20.0):
        while True:
            pass

    PROOF.assert_ends(run_room, "did not end within 3 s")


def test_a_room_that_answers_nobody_is_told():
    """It waits for ever, and who knocks is not answered: a message says so."""

    async def run_room(sock, patience=20.0):
        await asyncio.Event().wait()

    PROOF.assert_ends(run_room, "nobody answered its handshake")


def test_a_room_that_can_not_be_cancelled_is_ended():
    """Not even by force: each visit that saw enough still tells what it saw."""

    async def run_room(sock, patience=20.0):
        while True:
            try:
                await serve_queues(QueueRoom(), sock, patience)
            except asyncio.CancelledError:
                await asyncio.Event().wait()

    report = check(run_room)
    assert set(report.failed) == {"stopped"}, f"\n{report}"


def test_what_a_handler_raised_is_told():
    """With its line, for in the log of a library a beginner does not look."""

    async def run_room(sock, patience=20.0):
        class Fails(QueueRoom):
            async def take(self, websocket, frame):
                raise KeyError("nobody")

        await serve_queues(Fails(), sock, patience)

    report = check(run_room)
    assert "KeyError: 'nobody' (line" in report.failed["broadcast"]
    assert "in take" in report.failed["broadcast"]


def test_a_room_that_stands_still_is_not_called_bounded():
    """It keeps little for the slow one, and does not disconnect it either."""
    [path] = [path for path in PROOF.wrong if path.stem == "gathers_and_waits"]
    of_one = copy.copy(LAB)
    of_one.requirements = [r for r in LAB.requirements if r.name == "bounded"]
    told = of_one.check(load(path).run_room).failed["bounded"]
    assert "could not be seen" in told
    assert "the room stood still (see 'One that never reads holds up nobody')" in told


def test_what_a_task_raised_is_told():
    """It is not printed, for the learner has printed nothing."""

    class Fails(Room):
        def receive(self, websocket, frame):
            self.task = asyncio.create_task(self.pass_on(frame))

        async def pass_on(self, frame):
            raise KeyError("nobody")

    async def run_room(sock, patience=20.0):
        await serve_room(Fails(), sock, patience)

    report = check(run_room)
    assert "Your code raised KeyError: 'nobody' (line" in report.failed["broadcast"]
    assert "Printed" not in repr(report)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ValueError("full"), "Its handler raised ValueError: full (line"),
        (ConnectionClosedOK(None, None), "Its handler raised ConnectionClosedOK"),
        (None, "Most likely your handler returned"),
    ],
    ids=["raised", "another was gone", "returned"],
)
def test_why_a_newcomer_was_thrown_out_is_told(raised, told):
    """Its connection was well, so that even ConnectionClosed is worth a word."""

    class Full(Room):
        async def handler(self, websocket):
            if not self.members:
                await super().handler(websocket)
            elif raised is not None:
                raise raised

    async def run_room(sock, patience=20.0):
        await serve_room(Full(), sock, patience)

    message = check(run_room).failed["broadcast"]
    assert message.startswith("Ben came in, and the room ended the connection. ")
    assert message.count(told) == 1
    assert message.count("full") == (1 if isinstance(raised, ValueError) else 0)


# -- the visits themselves -------------------------------------------------------------


async def queue_room(sock, patience=20.0):
    await serve_queues(QueueRoom(), sock, patience)


def test_a_visit_leaves_nothing():
    """No task and no socket stays when the room has been left."""

    async def scenario():
        saw = await room_visits.visit(queue_room, "talk")
        return saw, asyncio.all_tasks() - {asyncio.current_task()}

    saw, left = asyncio.run(scenario())
    assert saw["heard"]["Cleo"] == saw["said"]
    assert not left


def test_who_was_there_and_how_that_ended():
    """For the picture: one who left, one who was closed, one who stayed."""

    async def scenario():
        house = House(queue_room, 20.0)
        ada, ben, cleo = await house.enter("Ada", "Ben", "Cleo")
        ada.say_goodbye()
        ben.send("x" * 40_000)
        await house.until(lambda: ada.went and ben.went and cleo.members == ["Cleo"])
        try:
            return [(name, end) for name, *_, end in house.stays()]
        finally:
            await house.close()

    assert asyncio.run(scenario()) == [
        ("Ada", "left"),
        ("Ben", "closed with 1009"),
        ("Cleo", "stayed"),
    ]


def test_a_busy_machine_is_given_another_try(monkeypatch):
    """A visit that is not sure of what it saw while the loop was late says nothing."""
    patiences = []

    async def unlucky(here):
        patiences.append(here.patience)
        return {"sure": len(patiences) == 3}

    monkeypatch.setattr(Lateness, "worst", 9.0, raising=False)
    monkeypatch.setattr(Lateness, "__init__", lambda self: None)
    monkeypatch.setattr(Lateness, "_beat", lambda self, due: _set_timer(self))
    saw = asyncio.run(room_visits._with_patience(unlucky)(queue_room))
    assert patiences == list(room_visits.PATIENCES)
    assert saw["sure"]


def _set_timer(lateness):
    lateness._next = asyncio.get_running_loop().call_later(60, print)


def test_waiting_is_counted_in_turns_of_the_loop():
    """As long as something moves it waits on, and then only for so many turns."""

    async def scenario():
        counted = iter(range(7))
        return await until(lambda: False, moves=lambda: next(counted, 7), beats=3)

    assert asyncio.run(scenario()) is False


def test_a_guest_says_nothing_to_a_closed_room():
    """What is said then is lost, as it should be for a judge that only watches."""

    async def scenario():
        house = House(queue_room, 20.0)
        [ada] = await house.enter("Ada")
        ada.say_goodbye()
        ada.say("more")
        await house.until(lambda: ada.went)
        ada.say("and more")
        await house.close()
        return ada

    assert isinstance(asyncio.run(scenario()), Guest)


def test_the_socket_is_for_this_machine_only():
    """The one that a learner gets to play with is bound to loopback."""
    with open_socket() as sock:
        assert sock.getsockname()[0] == "127.0.0.1"
