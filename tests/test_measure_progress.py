"""helpers.measure.progress"""

import asyncio
import io
import sys

from helpers.measure import progress
from helpers.measure.load import closed_loop


def test_progress_is_shown_while_a_long_run_lasts(monkeypatch):
    """The bar says how many requests were answered, and goes away at the end."""
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    async def request():
        while "requests" not in sys.stderr.getvalue():  # noqa: ASYNC110 - not async
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(closed_loop(request, clients=1, requests=3), 30))
    assert "0/3 requests" in sys.stderr.getvalue()
    assert sys.stderr.getvalue().split("\r")[-2].strip() == ""


def test_in_a_notebook_progress_is_a_line_that_is_empty_in_the_end(monkeypatch):
    """There the bar is one output, updated in place, and blank when the run is over."""
    lines = []

    class Handle:
        def update(self, line, raw):
            lines.append(line["text/plain"])

    def display(line, raw, display_id):
        lines.append(line["text/plain"])
        return Handle()

    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)

    async def request():
        while not lines:  # noqa: ASYNC110 - not async
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(closed_loop(request, clients=1, requests=3), 30))
    assert "0/3 requests" in lines[0]
    assert lines[-1] == ""
