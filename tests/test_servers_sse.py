"""helpers.servers.sse"""

import pytest

from helpers.servers import sse


def test_a_block_has_its_fields_and_ends_with_a_blank_line():
    """id and event before the data, each on a line, and nothing after the end."""
    assert sse.block("hello", event="goal", id=57) == (
        b"id: 57\nevent: goal\ndata: hello\n\n"
    )


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_each_line_of_the_data_has_a_field_of_its_own(line_end):
    """A client joins them by a line feed; a bare CR would end a line as well."""
    block = sse.block(line_end.join(["one", "", "two"]))
    assert block == b"data: one\ndata: \ndata: two\n\n"


def test_text_is_utf8():
    """An event stream has no other encoding."""
    assert sse.block("–") == b"data: \xe2\x80\x93\n\n"


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("field", ["event", "id"])
def test_what_a_field_can_not_carry_is_refused(field, value):
    """A line break would end the field, and U+0000 makes a client ignore an id."""
    with pytest.raises(ValueError, match=f"{field} is one line"):
        sse.block("data", **{field: value})


def test_a_comment_begins_with_a_colon():
    """No client makes an event of it."""
    assert sse.comment("heartbeat") == b": heartbeat\n\n"


def test_retry_is_in_milliseconds_and_digits_only():
    """A client ignores a value with anything but digits."""
    assert sse.retry(1.5) == b"retry: 1500\n\n"


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_wait_that_is_none_is_refused(seconds):
    """The error says the unit."""
    with pytest.raises(ValueError, match="retry is in seconds"):
        sse.retry(seconds)
