"""The notebooks as a learner meets them: in JupyterLab, in a real browser."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import Lab
from tests.conftest import TIME_UNIT

PAGES = ["00-start-here", "01-request-response", "02-sync-vs-async", "03-real-time"]


@pytest.mark.timeout(240 * TIME_UNIT)
@pytest.mark.parametrize("name", PAGES)
def test_runs_from_top_to_bottom(lab: Lab, name: str) -> None:
    """Restart and run all: no error, every claim holds, every figure stands."""
    lab.open(f"notebooks/{name}.ipynb")
    outputs = lab.run_all(timeout=120 * TIME_UNIT)

    errors = [o["traceback"] for o in outputs if o["output_type"] == "error"]
    assert not errors
    said = "".join("".join(o.get("text", "")) for o in outputs)
    assert "✔" in said and "✘" not in said
    pictures = [o for o in outputs if "<figure" in json.dumps(o.get("data", {}))]
    assert pictures
    lab.cell("ladder(line)")
    expect(lab.page.locator("figure svg[role=img]").first).to_be_visible()


@pytest.mark.timeout(240 * TIME_UNIT)
def test_explore_follows_mouse_and_keyboard(lab: Lab) -> None:
    """A slider moved by mouse and by keyboard redraws; also while a cell awaits."""
    lab.open("notebooks/01-request-response.ipynb")
    lab.run("import asyncio")
    cell = lab.run("explore_chunks(")
    handle = cell.locator(".noUi-handle").first
    picture = cell.locator("figure img")

    by_keyboard = redraws(picture, lambda: press_arrow(handle))
    by_mouse = redraws(picture, lambda: drag(lab, handle, 60))
    assert by_keyboard != by_mouse

    lab.start("import asyncio\nawait asyncio.sleep(600)")
    run = cell.get_by_role("button", name="Run")
    assert redraws(picture, run.click)
    lab.execute("notebook:interrupt-kernel")


@pytest.mark.timeout(240 * TIME_UNIT)
def test_a_guess_and_a_quiz_are_answered(lab: Lab) -> None:
    """A prediction takes a guess by keyboard, a quiz its answer by mouse."""
    lab.open("notebooks/02-sync-vs-async.ipynb")
    lab.run("import asyncio")

    asked = lab.run('predict("One thread')
    press_arrow(asked.locator(".noUi-handle"))
    expect(asked.get_by_text("Your guess: 20 ms")).to_be_visible()

    quiz = lab.run('quiz("02")')
    quiz.get_by_text("10,000", exact=True).click()
    expect(quiz.get_by_text("That is 50 times 200")).to_be_visible()
    quiz.get_by_text("250", exact=True).click()
    expect(quiz.get_by_text("50 / 0.2, Little's law turned round")).to_be_visible()


def press_arrow(handle: Locator) -> None:
    handle.focus()
    handle.press("ArrowRight")


def drag(lab: Lab, handle: Locator, by: int) -> None:
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    lab.page.mouse.move(x + by, y, steps=8)
    lab.page.mouse.up()


def redraws(picture: Locator, act) -> str:
    """Act, wait until another picture stands there, and return its source."""
    before = picture.get_attribute("src") if picture.count() else None
    act()
    if before is not None:
        expect(picture).not_to_have_attribute("src", before)
    expect(picture).to_be_visible()
    return picture.get_attribute("src")
