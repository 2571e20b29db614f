"""helpers.show.ladder, ladder_layout, ladder_text and message_list."""

import re
from html.parser import HTMLParser
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.network.capture import Capture, Crossing, Direction, Event
from helpers.network.decode import Message
from helpers.show.ladder import Ladder, ladder
from helpers.show.ladder_layout import LABEL, lay_out
from helpers.show.message_list import HEX_BYTES, TEXT_BYTES, exact_bytes, message_list

UP, DOWN = Direction.TO_SERVER, Direction.TO_CLIENT
HOSTILE = "<script>alert('x')</script>\u202e\x1b[31m&amp;\"'"


def message(sent=0.0, arrived=0.02, way=UP, title="GET /", **fields):
    defaults = {"connection": 1, "protocol": "HTTP/1.1", "raw": b"", "size": 10}
    return Message(sent, arrived, direction=way, title=title, **defaults | fields)


def handshake(sent=0.0, arrived=0.04, connection=1):
    return message(
        sent, arrived, title="TCP handshake", protocol="TCP", connection=connection
    )


def exchange(count):
    """So many requests and answers, each 20 ms one way."""
    return [
        message(i * 0.02, (i + 1) * 0.02, DOWN if i % 2 else UP)
        for i in range(2 * count)
    ]


def svg_of(picture):
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", picture.html(), re.S)[0])


def http_capture():
    capture = Capture()
    ask = b"GET /videos/1 HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    capture.record(Crossing(0.0, 0.04, 1, UP, Event.OPEN))
    capture.record(Crossing(0.04, 0.06, 1, UP, Event.DATA, ask, len(ask)))
    capture.record(Crossing(0.061, 0.081, 1, DOWN, Event.DATA, answer, len(answer)))
    return capture


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.seen = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def test_a_capture_becomes_a_ladder():
    """Handshake, request and answer stand in their order, with the exact counts."""
    text = ladder(http_capture()).text()
    assert text.index("handshake") < text.index("GET /videos/1") < text.index("200 OK")
    assert "2 round trips" in text and "measured here" in text


def test_a_link_tells_its_delay():
    """A link may stand for its capture; the caption then says what it emulates."""

    class Link:
        capture = http_capture()
        latency = 0.02

    assert "link emulated: 20 ms one way" in ladder(Link()).caption


def test_first_limits_the_messages_and_says_so():
    """What is not shown is counted."""
    picture = Ladder(exchange(10), title="many", shown=4)
    assert len(picture.messages) == 4
    assert "… and 16 more" in picture.text()
    assert "… and 16 more" in "".join(svg_of(picture).itertext())


def test_one_connection_alone():
    """connection= leaves the others out, and an unknown one is refused by name."""
    capture = http_capture()
    capture.record(Crossing(0.1, 0.14, 2, UP, Event.OPEN))
    assert {m.connection for m in ladder(capture, connection=2).messages} == {2}
    with pytest.raises(ValueError, match="no connection 7"):
        ladder(capture, connection=7)


def test_first_must_show_something():
    """first=0 is an error, not an empty picture."""
    with pytest.raises(ValueError, match="first=0"):
        ladder(http_capture(), first=0)


def test_an_empty_capture_says_so():
    """Nothing crossed: a picture that says it, and no exception."""
    picture = ladder(Capture())
    assert "no messages" in picture.text()
    assert "no messages" in "".join(svg_of(picture).itertext())


def test_hostile_bytes_stay_text():
    """No title, note, header or body from the network becomes markup."""
    bad = message(
        title=HOSTILE,
        note=HOSTILE,
        raw=HOSTILE.encode(),
        body=b"x",
        protocol="bytes",
        headers=(("Content-Type", HOSTILE),),
        curl=HOSTILE,
    )
    html = Ladder([bad], title=HOSTILE, facts=[HOSTILE]).html()
    assert "script" not in {tag for tag, _ in Tags(html).seen}
    assert "\x1b" not in html and "\u202e" not in html
    svg_of(Ladder([bad], title=HOSTILE))  # well-formed, or this raises
    assert "\x1b" not in Ladder([bad], title=HOSTILE).text()


@given(st.binary(max_size=400))
def test_any_bytes_can_be_shown(raw):
    """Text or not, every message has a picture, in well-formed markup."""
    picture = Ladder([message(raw=raw, size=len(raw))], title="any")
    svg_of(picture)
    opened = [tag for tag, _ in Tags(picture.html()).seen]
    assert "script" not in opened and opened.count("svg") == 1


def test_the_drawing_is_named_for_screen_readers():
    """role=img, with a title and a description that tell the messages."""
    svg = svg_of(Ladder(exchange(1), title="Two messages"))
    parts = {child.attrib.get("id"): child.text for child in svg}
    title, description = (parts[key] for key in svg.attrib["aria-labelledby"].split())
    assert svg.attrib["role"] == "img" and title == "Two messages"
    assert "the client sends GET /" in description


def test_the_same_ladder_has_the_same_html():
    """Ids come from the content, so that stored notebooks do not change by chance."""
    one, other = (Ladder(exchange(2), title="x") for _ in range(2))
    assert one.html() == other.html()
    assert one.html() != Ladder(exchange(3), title="x").html()


def test_nothing_comes_from_elsewhere():
    """No script and no address in the page: it works offline and when sanitised."""
    html = Ladder(exchange(2), title="x").html()
    assert "http:" not in html and "https:" not in html and "<script" not in html


def test_where_the_page_strips_svg_the_text_shows():
    """Without the style sheet the drawing is hidden and the text is not."""
    html = Ladder(exchange(1), title="x").html()
    bare = re.sub(r"<style>.*?</style>", "", html)
    shown = {attrs.get("class", ""): attrs for _, attrs in Tags(bare).seen}
    drawn = next(attrs for name, attrs in shown.items() if name.endswith("-drawn"))
    plain = next(attrs for name, attrs in shown.items() if name.endswith("-plain"))
    assert drawn["style"] == "display:none" and "style" not in plain


def test_what_is_lost_has_no_arrow_head():
    """A lost message ends in a cross, in the drawing and in the text."""
    lost = Ladder([message(arrived=None, title="A? example.test")], title="x")
    assert "✗" in lost.text() and "►" not in lost.text().split("\n")[3]
    assert "lost" in "".join(svg_of(lost).itertext())


def test_a_handshake_is_said_to_be_emulated():
    """Its round trip is not the kernel's own."""
    picture = Ladder([handshake()], title="x")
    assert "emulated" in picture.text()
    assert "stroke-dasharray" in picture.html()


# -- layout -----------------------------------------------------------------------


def test_labels_on_one_side_keep_their_distance():
    """However close in time, no label is written over another."""
    burst = [message(i * 1e-6, 0.02 + i * 1e-6, connection=i) for i in range(1, 20)]
    starts = [arrow.start for arrow in lay_out(burst).arrows]
    assert all(abs(a - b) >= LABEL for a, b in combinations(starts, 2))


def test_time_runs_downward():
    """A later moment is never drawn above an earlier one."""
    layout = lay_out(exchange(5))
    assert [t.y for t in layout.ticks] == sorted(t.y for t in layout.ticks)
    assert [t.time for t in layout.ticks] == sorted(t.time for t in layout.ticks)
    assert all(arrow.end > arrow.start for arrow in layout.arrows)


def test_no_delay_makes_level_arrows():
    """A message that took no time is drawn level, a handshake too."""
    layout = lay_out([handshake(0, 0), message(0, 0), message(0, 0, DOWN)])
    ends = [(arrow.start, arrow.end) for arrow in layout.arrows[1:]]
    assert all(start == end for start, end in ends)


def test_a_long_silence_is_folded():
    """A pause of a minute takes no more room than its mark, and is told."""
    near = exchange(2)
    far = [message(60, 60.02), message(60.03, 60.05, DOWN)]
    layout = lay_out(near + far)
    assert [round(fold.seconds) for fold in layout.folds] == [60]
    assert layout.height < 2 * lay_out(exchange(3)).height
    assert "later" in Ladder(near + far, title="x").text()


def test_even_traffic_is_not_folded():
    """Twenty messages of one delay are all drawn to scale."""
    assert not lay_out(exchange(10)).folds


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100), st.none() | st.floats(0, 10), st.sampled_from([UP, DOWN])
        ),
        max_size=12,
    )
)
def test_every_order_of_events_has_a_layout(flights):
    """All arrows lie within the picture and none runs upward."""
    messages = sorted(
        (message(t, None if d is None else t + d, way) for t, d, way in flights),
        key=lambda m: m.sent,
    )
    layout = lay_out(messages)
    for arrow in layout.arrows:
        assert arrow.end >= arrow.start
        assert arrow.lost or arrow.end <= layout.height


# -- the list of messages --------------------------------------------------------------


def test_line_ends_are_visible():
    """CR LF, which decide so much in HTTP, can be seen and told from a lone LF."""
    shown = re.sub("<[^>]*>", "", exact_bytes(b"GET / HTTP/1.1\r\nA: b\n"))
    assert shown == "GET / HTTP/1.1\\r\\n\nA: b\\n"


def test_binary_is_a_hex_dump():
    """What is no text is shown byte by byte."""
    assert "00 01 ff" in exact_bytes(b"\x00\x01\xff")


def test_a_text_head_before_a_binary_body_stays_readable():
    """An upload's head is text, though its body is not."""
    shown = exact_bytes(b"PUT /v HTTP/1.1\r\n\r\n\x00\xff")
    assert "PUT /v HTTP/1.1" in shown and "00 ff" in shown


@pytest.mark.parametrize(
    ("raw", "kept"), [(b"a" * 5000, TEXT_BYTES), (b"\xff" * 5000, HEX_BYTES)]
)
def test_what_is_left_out_is_counted(raw, kept):
    """A long message is cut short, and says by how much."""
    shown = exact_bytes(raw)
    assert f"{5000 - kept:,} more bytes left out" in shown
    assert len(shown) < 5000


def test_what_the_capture_dropped_is_told():
    """A message without its bytes says that they were not kept."""
    assert "did not keep 10 of 10 bytes" in message_list([message(size=10)])


def test_the_curl_line_stands_by_its_request():
    """The learner can send the same by hand."""
    assert "curl -i http://x/" in message_list([message(curl="curl -i http://x/")])
