"""JSON lines in a streamed body: each line is a value of its own, and a message."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from helpers.network.part import Part, preview

__all__ = ["json_lines"]


def json_lines(body: bytes, ended: bool) -> Iterator[Part]:
    """The lines of ``body``, which LF ends; its last may do without, once it ended."""
    end = 0
    for line in io.BytesIO(body):
        end += len(line)
        whole = ended or line.endswith(b"\n")
        yield _line(end, line.rstrip(b"\r\n"), whole)


def _line(end: int, content: bytes, whole: bool) -> Part:
    text = content.decode("utf-8", "replace")
    if not content:
        return Part(end, "blank line", "blank line", complete=whole)
    note = _what_is_wrong(content) if whole else ""
    return Part(end, "line", preview(text), content, note=note, complete=whole)


def _what_is_wrong(content: bytes) -> str:
    try:
        json.loads(content)
    except UnicodeDecodeError:
        return "this is not JSON: no valid UTF-8"
    except json.JSONDecodeError as error:
        return f"this is not JSON: {error.msg} at character {error.pos}"
    except (ValueError, RecursionError):  # digits or brackets without end
        return "this may be JSON, but not for Python's reader"
    return ""
