"""helpers.servers.chat_room"""

import json

import pytest

from helpers.servers.chat_room import ChatError, Event, Room, key_of


def event(type: str, name: str = "Ann", **more: str) -> Event:
    return Event(type, room="lobby", name=name, **more)


def room_of(*names: str, **limits: int) -> Room:
    room = Room(**{"history_limit": 3, "max_members": 10} | limits)
    for name in names:
        room.apply(event("joined", name))
    return room


def test_all_that_everybody_sees_is_numbered_without_a_gap():
    """Joins, messages and leaves share one count."""
    room = room_of()
    numbers = [
        room.apply(each).number
        for each in (event("joined"), event("message", text="hi"), event("left"))
    ]
    assert numbers == [1, 2, 3]


def test_members_are_those_who_joined_and_did_not_leave():
    """In the order in which they came."""
    room = room_of("Ann", "Bo", "Cy")
    room.apply(event("left", "Bo"))
    assert room.members == ("Ann", "Cy")


def test_history_has_the_last_messages_only():
    """Bounded, oldest first, and without who came and went."""
    room = room_of("Ann")
    for text in "abcde":
        room.apply(event("message", text=text))
    assert [each.text for each in room.snapshot().history] == ["c", "d", "e"]
    assert [each.number for each in room.snapshot().history] == [4, 5, 6]


def test_private_messages_leave_no_gap_and_no_trace():
    """They have a count for each who gets them, and are not in the history."""
    room = room_of("Ann", "Bo", "Cy")
    privates = [room.apply(event("private", to=to)) for to in ("Bo", "Cy", "BO")]
    assert [(each.to, each.number) for each in privates] == [
        ("Bo", 1),
        ("Cy", 1),
        ("Bo", 2),
    ]
    assert room.apply(event("message", text="hi")).number == 4
    assert [each.text for each in room.snapshot().history] == ["hi"]


@pytest.mark.parametrize("name", ["Ann", "ANN", "ａｎｎ"])
def test_a_name_is_taken_once(name):
    """However it is written; nothing changes by the attempt."""
    room = room_of("Ann")
    with pytest.raises(ChatError, match=r"name-taken: 'Ann' is here already"):
        room.apply(event("joined", name))
    assert room.members == ("Ann",)
    assert room.number == 1


def test_a_name_is_free_again_after_its_owner_left():
    """Left, and joined by another."""
    room = room_of("Ann")
    room.apply(event("left"))
    assert room.apply(event("joined", "ann")).number == 3


def test_a_room_has_a_limit():
    """The one who is too many is told, and gets no number."""
    room = room_of("Ann", "Bo", max_members=2)
    with pytest.raises(ChatError, match="room-full: the room holds 2"):
        room.apply(event("joined", "Cy"))


@pytest.mark.parametrize("type", ["message", "private", "left"])
def test_only_members_act(type):
    """The error names the one who is not."""
    with pytest.raises(ChatError, match="not-a-member: 'Zoe'"):
        room_of("Ann").apply(event(type, "Zoe", to="Ann"))


def test_a_private_message_to_nobody():
    """The error names who is not there."""
    with pytest.raises(ChatError, match="nobody-there: nobody named 'Zoe'"):
        room_of("Ann").apply(event("private", to="Zoe"))


def test_a_snapshot_stays_as_it_was():
    """What happens later is not in it."""
    room = room_of("Ann")
    snapshot = room.snapshot()
    room.apply(event("message", text="later"))
    assert (snapshot.number, snapshot.members, snapshot.history) == (1, ("Ann",), ())


def test_json_has_what_a_client_may_see():
    """The fields that say something; not the id, which is the server's own."""
    document = json.loads(event("message", text="ж", id="secret").to_json())
    assert document == {"type": "message", "room": "lobby", "name": "Ann", "text": "ж"}


def test_keys_of_names_that_look_the_same():
    """Compatibility forms and case do not count, accents do."""
    assert key_of("ﬁ") == key_of("FI")
    assert key_of("Straße") == key_of("STRASSE")
    assert key_of("Zoé") == key_of("Zoe\u0301")
    assert key_of("Zoe") != key_of("Zoé")
