"""The requirements of lab 3a, part 1: what an event stream's bytes mean.

Every case says which bytes go in, in which pieces, and which events the WHATWG's HTML
standard (sections 9.2.5 and 9.2.6) makes of them. There is no time in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from helpers.lesson.check import Lab, Trial, Unmet
from helpers.lesson.check_process import End
from helpers.show.tables import Table, table

__all__ = ["PARSER"]

LIMIT = 10.0  # seconds, for what takes no time at all
SHOWN = 16  # rows of the picture
BOM = b"\xef\xbb\xbf"

Event = tuple[str, str, str]  # type, data, id


class Case(NamedTuple):
    """``chunks`` go in one by one. ``begin`` is the id that the stream starts with.

    ``last_event_id`` and ``retry`` are what it says in the end; None is not asked.
    ``why`` is the rule; ``whole``, if given, stands for it where the same bytes fail
    in one piece, too.
    """

    chunks: list[bytes]
    events: list[Event]
    why: str
    begin: str = ""
    last_event_id: str | None = None
    retry: float | None = None
    whole: str = ""


class Fed(NamedTuple):
    """What came of each chunk, and what the stream said in the end."""

    came: list[Any]
    last_event_id: Any
    retry: Any


def feed_all(stream_class: type, cases: list[tuple[str, list[bytes]]]) -> list[tuple]:
    """In the child: feed each case to a stream of its own."""
    results = []
    for begin, chunks in cases:
        stream = stream_class(begin)
        came = []
        for chunk in chunks:
            events = stream.feed(chunk)
            came.append(None if events is None else list(events))
        results.append((came, stream.last_event_id, stream.retry))
    return results


def draw_feeding(rows: Sequence[tuple[str, str]], title: str) -> Table:
    return table(rows, ["fed", "came out"], caption=title)


PARSER = Lab(
    "lab3a",
    "EventStream",
    ["last_event_id"],
    driver=feed_all,
    draw=draw_feeding,
    drawn="What went in and what came out",
    base=object,
)
requirement = PARSER.requirement


# -- judging --------------------------------------------------------------------------


def expect(trial: Trial, *cases: Case) -> None:
    """All of them in one go; the first that differs is told."""
    outcome = trial.call([(case.begin, case.chunks) for case in cases])
    if outcome.end is not End.RETURNED:
        _expect_no_error(trial, cases)
        raise Unmet(f"It {outcome}.")
    for case, result in zip(cases, outcome.value, strict=True):
        _judge(trial, case, Fed(*result))


def _expect_no_error(trial: Trial, cases: Iterable[Case]) -> None:
    """Find the case that it could not bear."""
    for case in cases:
        outcome = trial.call([(case.begin, case.chunks)])
        if outcome.end is End.RETURNED:
            continue
        rows = [(_shown(chunk), "?") for chunk in case.chunks]
        if outcome.end is End.RAISED:
            _expect_in_one_piece(trial, case)
            rows = _rows_until_error(trial, case)
        trial.capture = _last(rows)
        raise Unmet(f"From {_told(case)} it {outcome}. {case.why}")


def _expect_in_one_piece(trial: Trial, case: Case) -> None:
    """Where the same bytes fail without a cut, too, the cut is not to blame."""
    if len(case.chunks) == 1:
        return
    uncut = {"chunks": [b"".join(case.chunks)], "why": case.whole or case.why}
    try:
        expect(trial, case._replace(**uncut))
    except Unmet as unmet:
        raise Unmet(
            f"Not because of the cut: in one piece it fails as well. {unmet}"
        ) from None


def _rows_until_error(trial: Trial, case: Case) -> list[tuple[str, str]]:
    """What came of each chunk, down to the one at which it raised."""
    fed = Fed([], "", None)
    for count, chunk in enumerate(case.chunks, start=1):
        outcome = trial.call([(case.begin, case.chunks[:count])])
        if outcome.error is not None:
            raised = f"raised {outcome.error.kinds[0]}"
            return [*_rows(case, fed), (_shown(chunk), raised)]
        if outcome.end is not End.RETURNED:
            break
        fed = Fed(*outcome.value[0])
    return _rows(case, fed)


def _judge(trial: Trial, case: Case, fed: Fed) -> None:
    problem = _problem(case, fed)
    if problem:
        _expect_in_one_piece(trial, case)
        trial.capture = _first(_rows(case, fed))
        raise Unmet(problem)


def _problem(case: Case, fed: Fed) -> str:
    """What is not as it should be; empty when all is."""
    if None in fed.came:
        return (
            "feed() returned None. It returns a list of the events that this chunk "
            "completes: [] when there are none."
        )
    events = [event for events in fed.came for event in events]
    told = f"From {_told(case)}"
    if events != case.events:
        due = _list(case.events)
        return f"{told} came {_list(events)} instead of {due}. {case.why}"
    if case.last_event_id not in (None, fed.last_event_id):
        return (
            f"{told} last_event_id is {fed.last_event_id!r} instead of "
            f"{case.last_event_id!r}. {case.why}"
        )
    if case.retry not in (None, fed.retry):
        return (
            f"{told} retry is {fed.retry!r} instead of {case.retry!r} (seconds). "
            f"{case.why}"
        )
    return ""


def _rows(case: Case, fed: Fed) -> list[tuple[str, str]]:
    """As many as chunks have been fed."""
    pairs = zip(case.chunks, fed.came, strict=False)
    return [(_shown(chunk), _list(events or [])) for chunk, events in pairs]


def _first(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    more = [("…", f"({len(rows) - SHOWN} more)")] if len(rows) > SHOWN else []
    return rows[:SHOWN] + more


def _last(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    before = [("…", f"({len(rows) - SHOWN} before)")] if len(rows) > SHOWN else []
    return before + rows[-SHOWN:]


def _told(case: Case) -> str:
    """The bytes, and how they were cut."""
    stream = _shown(b"".join(case.chunks))
    if len(case.chunks) == 1:
        return stream
    if max(map(len, case.chunks)) == 1:
        return f"{stream}, byte by byte,"
    return f"{stream}, cut after {_shown(case.chunks[0])},"


def _shown(data: bytes) -> str:
    """As one writes it in Python, without the b."""
    return repr(data)[1:] if len(data) < 120 else f"{data[:120]!r} …"[1:]


def _list(events: Sequence[Any]) -> str:
    return ", ".join(map(repr, events)) or "nothing"


def every_cut(data: bytes) -> list[list[bytes]]:
    """In two at each place, in single bytes, and with nothing between."""
    halves = [[data[:at], data[at:]] for at in range(1, len(data))]
    single = [data[at : at + 1] for at in range(len(data))]
    with_nothing = [piece for byte in single for piece in (byte, b"")]
    return [*halves, single, with_nothing]


def message(*data: str) -> list[Event]:
    return [("message", text, "") for text in data]


# -- one chunk, one event -------------------------------------------------------------


@requirement("An event has a type, data and an id", limit=LIMIT)
def plain(trial: Trial) -> None:
    shape = "An event is a tuple (type, data, id), all three of them text."
    expect(
        trial,
        Case(
            [b"data: kick-off\n\n"],
            message("kick-off"),
            f"{shape} Without a line that says otherwise the type is 'message' and "
            "the id ''.",
        ),
        Case([b"id: 7\nevent: goal\ndata: 1-0\n\n"], [("goal", "1-0", "7")], shape),
    )


@requirement("A line is a name, a colon, a value; or a comment", limit=LIMIT)
def fields(trial: Trial) -> None:
    space = "One space behind the colon goes, if there is one; all else is the value's."
    colon = "The first colon ends the name. Others are part of the value."
    bare = "A line without a colon is a name, and its value is empty."
    exact = "A name that is not exactly data, event, id or retry says nothing."
    comment = "A line that begins with a colon is a comment: skip it."
    table_of_all = [
        (b"data:x\n\n", "x", space),
        (b"data:  x \n\n", " x ", space),
        (b"data: a: b:c\n\n", "a: b:c", colon),
        (b"data\n\n", "", bare),
        (b"colour: red\nid2: 5\ndata: x\n\n", "x", exact),
        (b"Data: a\n data: b\ndata : c\ndata: x\n\n", "x", exact),
        (b": heartbeat\n\n:\n\ndata: x\n\n", "x", comment),
        (b"data: a\n:data: b\n: c\ndata: d\n\n", "a\nd", comment),
    ]
    expect(trial, *(Case([b], message(x), why) for b, x, why in table_of_all))


@requirement("Several lines of data are one text of several lines", limit=LIMIT)
def data(trial: Trial) -> None:
    why = "Each data line is a line of the text, an empty one too: join them with \\n."
    table_of_all = [
        (b"data: a\ndata: b\n\n", "a\nb"),
        (b"data: a\ndata\ndata: b\n\n", "a\n\nb"),
        (b"data:\ndata:\n\n", "\n"),
        (b"data: a\ndata:\n\n", "a\n"),
    ]
    expect(trial, *(Case([b], message(x), why) for b, x in table_of_all))


@requirement("A blank line ends a block, and begins anew", limit=LIMIT)
def blocks(trial: Trial) -> None:
    empty = "A block without a data line is no event, and leaves nothing behind."
    anew = "A type is for its own block; the next one begins as 'message' again."
    expect(
        trial,
        Case(
            [b"event: goal\ndata: x\n\ndata: y\n\n"],
            [("goal", "x", ""), ("message", "y", "")],
            anew,
        ),
        Case([b"event: goal\n\ndata: x\n\n"], message("x"), empty),
        Case([b"\n\n\ndata: x\n\n\n\n"], message("x"), empty),
        Case([b"event:\ndata: x\n\n"], message("x"), "An empty type is 'message'."),
        Case(
            [b"event: a\nevent: b\ndata: x\n\n"],
            [("b", "x", "")],
            "Of several types the last one counts.",
        ),
    )


@requirement("LF, CR and CRLF end a line, and nothing else does", limit=LIMIT)
def line_ends(trial: Trial) -> None:
    lines = [b"event: e", b"data: a", b"data: b", b"", b"data: c", b"", b":"]
    due = [("e", "a\nb", ""), *message("c")]
    all_three = "Streams may use \\n, \\r or \\r\\n, and mix them."
    others = (
        "Only \\n, \\r and \\r\\n end a line. str.splitlines() knows eight more ends, "
        "such as U+2028 and \\x0b: split with a regular expression, or as bytes."
    )
    odd = "a\u2028b\x0bc\x0cd\x85e\x1cf"
    expect(
        trial,
        *(Case([end.join(lines)], due, all_three) for end in (b"\n", b"\r\n", b"\r")),
        Case(
            [b"data: a\rdata: b\n\r\ndata: c\r\n\r:"], message("a\nb", "c"), all_three
        ),
        Case([f"data: {odd}\n\n".encode()], message(odd), others),
    )


# -- many chunks ----------------------------------------------------------------------


@requirement("Wherever the bytes are cut, the events are the same", limit=2 * LIMIT)
def split(trial: Trial) -> None:
    stream = b"data: a\r\ndata: b\r\n\r\nevent: e\ndata: c\n\nid: 1\rdata: d\r\r:"
    due = [*message("a\nb"), ("e", "c", ""), ("message", "d", "1")]
    why = (
        "A chunk may end anywhere, also within a line, and between \\r and \\n, which "
        "are then still one end and not two. Keep what is unfinished."
    )
    whole = (
        "So mend the other requirements first, most of all 'LF, CR and CRLF end a "
        "line, and nothing else does'."
    )
    cases = [Case(chunks, due, why, whole=whole) for chunks in every_cut(stream)]
    expect(trial, *cases)


@requirement("Text is UTF-8, also when a character is cut in two", limit=2 * LIMIT)
def utf8(trial: Trial) -> None:
    text = "Zürich 東京 🏆"
    stream = f"data: {text}\n\n".encode()
    cut = (
        "A character has up to four bytes, and a chunk may end between them. Decode "
        "whole lines, or use codecs.getincrementaldecoder('utf-8')."
    )
    broken = "What is no UTF-8 becomes U+FFFD, and the rest is read: errors='replace'."
    expect(
        trial,
        Case([stream], message(text), "The bytes are UTF-8: decode them so."),
        *(Case(chunks, message(text), cut) for chunks in every_cut(stream)),
        Case([b"data: a\xffb\n\n"], message("a\ufffdb"), broken),
        Case([b"data: a\xe2\x82\n\ndata: b\n\n"], message("a\ufffd", "b"), broken),
    )


@requirement("One byte order mark at the very start goes, no other", limit=LIMIT)
def bom(trial: Trial) -> None:
    first = "Bytes EF BB BF at the start of a stream (a BOM) are not part of its text."
    once = "Only one BOM goes, and only at the very start of the stream."
    both = BOM + b"data: a\n\n" + BOM + b"data: b\n\ndata: c\n\n"
    expect(
        trial,
        *(Case(cut, message("x"), first) for cut in every_cut(BOM + b"data: x\n\n")),
        Case([both], message("a", "c"), once),
        Case([BOM + b"data: a\n\n", BOM + b"data: b\n\n"], message("a"), once),
        Case([BOM + BOM + b"data: a\n\ndata: b\n\n"], message("b"), once),
        Case(["data: \ufeffx\n\n".encode()], message("\ufeffx"), once),
    )


@requirement("An event comes with the last byte of its blank line", limit=LIMIT)
def prompt(trial: Trial) -> None:
    why = (
        "The blank line is there, so the event is complete: the next byte may be an "
        "hour away. A \\r ends its line at once; if a \\n comes next, skip that."
    )
    expect(
        trial,
        *(
            Case([b"data: x" + 2 * e], message("x"), why)
            for e in (b"\n", b"\r\n", b"\r")
        ),
        Case([b"data: x\r", b"\r"], message("x"), why),
        Case([b"data: a\n\ndata: b\n\n"], message("a", "b"), why),
    )


@requirement("What no blank line has ended counts for nothing", limit=LIMIT)
def unfinished(trial: Trial) -> None:
    event = "The stream may end here. Only a blank line makes an event, nothing else."
    id_too = (
        "The id counts once its block is complete. Else a client that is cut here asks "
        "for what comes after event 2, and never gets event 2."
    )
    whole = b"id: 1\ndata: a\n\n"
    due = [("message", "a", "1")]
    expect(
        trial,
        Case([whole + b"data: b\n"], due, event),
        Case([whole, b"data: b\n"], due, event),
        Case([whole + b"data: b"], due, event),
        Case([whole + b"id: 2\ndata: b\n"], due, id_too, last_event_id="1"),
    )


# -- what outlives an event -----------------------------------------------------------


@requirement("An id holds until another one comes", limit=LIMIT)
def ids(trial: Trial) -> None:
    holds = "An id holds for all events after it, until another one comes."
    alone = "A block of nothing but an id is no event, and its id counts all the same."
    emptied = "An empty id is an id, too: from here on there is none."
    null = "An id with U+0000 in it is ignored as a whole; the one before still holds."
    text = "An id is text, whatever it says. It need not be a number."
    begun = "EventStream('57') goes on where another stream ended: 57 holds at first."
    expect(
        trial,
        Case(
            [b"id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n"],
            [("message", "a", "1"), ("message", "b", "1"), ("message", "c", "2")],
            holds,
            last_event_id="2",
        ),
        Case([b"id: 5\n\n"], [], alone, last_event_id="5"),
        Case([b"id: 5\n\ndata: a\n\n"], [("message", "a", "5")], alone),
        *(
            Case(
                [b"id: 1\ndata: a\n\n" + line + b"\ndata: b\n\n"],
                [("message", "a", "1"), ("message", "b", "")],
                emptied,
                last_event_id="",
            )
            for line in (b"id:", b"id")
        ),
        Case(
            [b"id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n"],
            [("message", "a", "1"), ("message", "b", "1")],
            null,
            last_event_id="1",
        ),
        Case(
            ["id: Zürich-07\ndata: a\n\n".encode()],
            [("message", "a", "Zürich-07")],
            text,
        ),
        Case([b"data: a\n\n"], [("message", "a", "57")], begun, "57", "57"),
    )


@requirement("retry is taken when it is digits and nothing else", limit=LIMIT)
def retry(trial: Trial) -> None:
    told = "On the wire retry is in milliseconds; your attribute is in seconds."
    digits = (
        "Only the digits 0 to 9 make a retry; anything else is ignored, and the one "
        "before holds. (int() and str.isdigit() take far more for a number.)"
    )
    other = ["2.5", "-5", "+5", "1_000", "1e3", "5s", " 5", "5 ", "0x10", "٣٤", "²"]
    expect(
        trial,
        Case([b"data: x\n\n"], message("x"), "As long as none came it is None."),
        Case([b"retry: 2500\n\n"], [], told, retry=2.5),
        Case(
            [b"retry: 2500\n\nretry:0100\ndata: x\n\n"], message("x"), told, retry=0.1
        ),
        *(
            Case([f"retry: 700\n\nretry: {x}\n\n".encode()], [], digits, retry=0.7)
            for x in other
        ),
    )
