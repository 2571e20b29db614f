"""The child's side of a lab check: it calls the learner's function and tells the end.

check_process.py starts this file as a script. One line on stdin is one call: a
driver, the function and its arguments (cloudpickle, then base64). One line on
stdout is its answer, a dict in the same writing. What the function prints goes to
stderr, and a mark follows it there. First of all the child says that it is ready.

Nothing of the workbook is imported here, so that the child is there quickly.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import os
import pickle
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import cloudpickle

END_OF_PRINTS = b"\0end of prints\0"
LONGEST_TEXT = 1000  # characters of an exception's message


def decode(line: bytes) -> Any:
    return pickle.loads(base64.b64decode(line))


def encode(value: Any) -> bytes:
    return base64.b64encode(cloudpickle.dumps(value)) + b"\n"


def call(line: bytes) -> dict[str, Any]:
    """Make one call; what it returned or raised, whatever that is."""
    function = None
    try:
        driver, function, args = decode(line)
        value = driver(function, *args)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
        return {"value": _plain(value)}
    except BaseException as error:  # SystemExit, too, is only an end of this call
        return _raised(error, function)


def _plain(value: Any) -> Any:
    """The value, if it can travel; else how it shows itself."""
    try:
        pickle.loads(cloudpickle.dumps(value))
    except Exception:
        return repr(value)
    return value


def _raised(error: BaseException, function: Any) -> dict[str, Any]:
    try:
        text = str(error)[:LONGEST_TEXT]
    except Exception:
        text = ""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return {"kinds": kinds, "text": text, "frames": _frames(error, function)}


def _frames(error: BaseException, function: Any) -> list[tuple[str, int, str]]:
    """File, line and name of the learner's frames, the outermost first."""
    code = getattr(inspect.unwrap(function), "__code__", None) if function else None
    own_file = code.co_filename if code else ""
    found, traceback = [], error.__traceback__
    while traceback is not None:
        if _is_learners(traceback, own_file):
            code = traceback.tb_frame.f_code
            found.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return found


def _is_learners(traceback: TracebackType, own_file: str) -> bool:
    """In the function's file, or in another cell: cells are in no file on disk."""
    file = traceback.tb_frame.f_code.co_filename
    return file == own_file or not (file.startswith("<") or Path(file).exists())


def end_with_parent(lines: Any, arrived: Any) -> None:
    """Hand over each line; when stdin ends, our parent is gone or wants us gone."""
    for line in lines:
        arrived.put(line)
    os._exit(0)


def main() -> None:
    import queue

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a print must not garble the answers
    sys.stdout.reconfigure(line_buffering=True)  # prints outlive a SIGKILL
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    lines = os.fdopen(os.dup(0), "rb")
    sys.stdin = open(os.devnull)  # noqa: SIM115 - input() gets its EOFError at once
    threading.Thread(target=end_with_parent, args=(lines, calls), daemon=True).start()
    answers.write(b"ready\n")
    answers.flush()
    while True:
        line, threads = calls.get(), threading.active_count()
        answer = call(line)
        answer["tidy"] = threading.active_count() <= threads
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(2, END_OF_PRINTS)
        answers.write(encode(answer))
        answers.flush()


if __name__ == "__main__":
    main()
