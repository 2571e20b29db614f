"""helpers.servers.chat_protocol"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.servers.chat_protocol import (
    MAX_LENGTHS,
    TRANSITIONS,
    Member,
    Request,
    State,
    parse_request,
)
from helpers.servers.chat_room import ChatError, Event, Snapshot

JOIN = '{"type": "join", "room": "lobby", "name": "Ann"}'
HELLO = '{"type": "message", "text": "hello"}'
EMPTY = Snapshot(number=1, members=("Ann",), history=())


def event(type: str, number: int, **more: str) -> Event:
    return Event(type, room="lobby", name="Bo", number=number, **more)


# -- requests ------------------------------------------------------------------------


def test_a_request_has_its_fields():
    """Trimmed; what its type lacks stays empty, what is unknown is passed over."""
    text = '{"type": "join", "room": " lobby ", "name": "Ann", "to": "x", "new": 1}'
    assert parse_request(text) == Request("join", room="lobby", name="Ann")


BAD = {
    "not JSON": ("hello", "bad-json"),
    "nothing": ("", "bad-json"),
    "nested deep": ("[" * 30_000, "bad-json"),
    "a number of 9,000 digits": ("1" * 9000, "bad-json"),
    "binary": (b"{}", "not-text"),
    "no object": ("[]", "bad-request"),
    "no type": ("{}", "bad-request"),
    "an unknown type": ('{"type": "shout"}', "bad-request"),
    "a type that can not be a key": ('{"type": []}', "bad-request"),
    "a missing field": ('{"type": "message"}', "bad-request"),
    "an empty text": ('{"type": "message", "text": " "}', "bad-request"),
    "a text that is a number": ('{"type": "message", "text": 1}', "bad-request"),
    "half a character": ('{"type": "message", "text": "\\ud800"}', "bad-request"),
    "a name with a line break": (
        '{"type": "join", "room": "a", "name": "A\\nB"}',
        "bad-request",
    ),
    "a name that turns the writing": (
        '{"type": "join", "room": "a", "name": "A\\u202eB"}',
        "bad-request",
    ),
}


@pytest.mark.parametrize(("frame", "code"), BAD.values(), ids=BAD)
def test_what_is_no_request_is_a_clear_error(frame, code):
    """It has a code for programs, a detail for people, and can be sent."""
    with pytest.raises(ChatError) as caught:
        parse_request(frame)
    assert caught.value.code == code
    assert len(caught.value.detail) > 10
    caught.value.to_json().encode()


@pytest.mark.parametrize("key", MAX_LENGTHS)
def test_every_field_is_bounded(key):
    """The longest goes, and one character more does not; the error has both numbers."""
    type_ = {"room": "join", "name": "join"}.get(key, "private")
    fields = {"type": type_, "room": "r", "name": "n", "to": "t", "text": "x"}
    longest = "é" * MAX_LENGTHS[key]
    assert getattr(parse_request(json.dumps(fields | {key: longest})), key) == longest
    with pytest.raises(ChatError, match=f"too-long.*{MAX_LENGTHS[key] + 1}"):
        parse_request(json.dumps(fields | {key: longest + "é"}))


@given(st.one_of(st.text(), st.binary()))
def test_no_frame_does_more_than_fail(frame):
    """Whatever comes is a request or a ChatError."""
    try:
        parse_request(frame)
    except ChatError as error:
        error.to_json().encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "room", "name", "text"]), inner)
    ),
    max_leaves=8,
)


@given(json_values)
def test_no_document_does_more_than_fail(document):
    """The same for what is JSON."""
    try:
        parse_request(json.dumps(document))
    except ChatError as error:
        error.to_json().encode()


# -- states --------------------------------------------------------------------------


def member_in(state: State) -> Member:
    member = Member()
    if state is not State.OUTSIDE:
        member.receive(JOIN)
    if state in (State.INSIDE, State.LEAVING):
        member.welcome(EMPTY)
    if state is State.LEAVING:
        member.receive('{"type": "leave"}')
    assert member.state is state
    return member


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("type", ["join", "message", "private", "history", "leave"])
def test_a_request_out_of_turn_is_refused(state, type):
    """The error names the request, the state, and what is possible; nothing changes."""
    member = member_in(state)
    fields = {"room": "a", "name": "b", "to": "c", "text": "d"}
    frame = json.dumps(fields | {"type": type})
    if type in TRANSITIONS[state]:
        member.receive(frame)
        assert member.state is TRANSITIONS[state][type]
        return
    with pytest.raises(ChatError, match=f"not-now: '{type}'.*{state.value}") as caught:
        member.receive(frame)
    assert all(possible in str(caught.value) for possible in TRANSITIONS[state])
    assert member.state is state


def test_from_every_state_there_is_a_way_out():
    """No row of the table is a trap, and all that it leads to has a row."""
    for moves in TRANSITIONS.values():
        assert moves
        assert set(moves.values()) <= set(TRANSITIONS)


def test_a_refused_member_is_where_it_was():
    """It may try another name."""
    member = member_in(State.JOINING)
    member.refuse()
    assert (member.state, member.room, member.name) == (State.OUTSIDE, "", "")
    member.receive(JOIN)


def test_a_lost_connection_leaves_a_room_once():
    """There is something to leave inside and on the way out, and nothing outside."""
    assert not member_in(State.OUTSIDE).leave()
    assert member_in(State.INSIDE).leave()
    member = member_in(State.LEAVING)
    assert member.leave()
    member.left()
    assert not member.leave()


# -- the welcome -----------------------------------------------------------------------


def test_the_welcome_comes_first_and_then_what_it_does_not_tell():
    """What happened while it joined is told once: by the welcome, or after it."""
    member = member_in(State.JOINING)
    for number in (4, 5, 6, 7):
        member.hold(event("message", number, text=str(number)))
    member.hold(event("private", 1, to="ANN"))
    member.hold(event("private", 1, to="Cy"))
    snapshot = Snapshot(5, ("Bo", "Ann"), (event("message", 4), event("message", 5)))
    welcome, *later = map(json.loads, member.welcome(snapshot))
    assert (welcome["type"], welcome["name"]) == ("welcome", "Ann")
    assert welcome["members"] == ["Bo", "Ann"]
    assert [each["number"] for each in welcome["history"]] == [4, 5]
    assert [(each["type"], each["number"]) for each in later] == [
        ("message", 6),
        ("message", 7),
        ("private", 1),
    ]


def test_a_member_is_not_told_what_its_welcome_told():
    """A server may still hear of events from before."""
    member = member_in(State.INSIDE)
    assert not member.is_told(event("message", EMPTY.number))
    assert member.is_told(event("message", EMPTY.number + 1))
    assert member.is_told(event("private", 1, to="ann"))
    assert not member.is_told(event("private", 1, to="Cy"))


def test_what_is_held_is_bounded():
    """Joining may take long; the newest is kept, and the numbers show the gap."""
    member = Member(held_limit=3)
    member.receive(JOIN)
    for number in range(2, 10):
        member.hold(event("message", number))
    _, *later = map(json.loads, member.welcome(EMPTY))
    assert [each["number"] for each in later] == [7, 8, 9]
