"""The chat's page in a real browser: two tabs, straight and through the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from helpers.servers.chat import ChatServer
from tests.conftest import TIME_UNIT

MARKUP = "<img src=x onerror=fail()>"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server
        assert not server.errors


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Fails when a page of it said something was wrong."""
    context = browser.new_context()
    context.set_default_timeout(30_000 * TIME_UNIT)
    expect.set_options(timeout=30_000 * TIME_UNIT)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" else None,
    )
    yield context
    context.close()
    assert not complaints


def join(context: BrowserContext, url: str, name: str) -> Page:
    """A new tab that has joined the lobby, by keyboard alone."""
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(f"In lobby as {name}")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    return page


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def check_two_tabs(context: BrowserContext, url: str) -> None:
    ann, bo = join(context, url, "Ann"), join(context, url, "Bo")
    expect(ann.get_by_role("log")).to_contain_text("Bo came")
    say(ann, "Hello, Bo")
    expect(bo.get_by_role("log")).to_contain_text("Ann: Hello, Bo")
    bo.get_by_role("combobox", name="To").select_option("Ann")
    say(bo, "psst")
    expect(ann.get_by_role("log")).to_contain_text("Bo: to you alone: psst")
    bo.get_by_role("button", name="Leave").click()
    expect(ann.get_by_role("log")).to_contain_text("Bo left")
    expect(ann.get_by_role("complementary")).to_have_text("Here now Ann (you)")


def test_two_tabs_chat(server: ChatServer, context: BrowserContext):
    """Join, talk, whisper and leave, as each of the two sees it."""
    check_two_tabs(context, server.url)


def test_two_tabs_chat_through_jupyter_server_proxy(
    server: ChatServer, context: BrowserContext, lab_url: str
):
    """The same page below /proxy/PORT/, where Origin and Host are JupyterLab's."""
    check_two_tabs(context, f"{lab_url}/proxy/{server.port}/?token=secret")


def test_names_and_texts_are_never_markup(server: ChatServer, context: BrowserContext):
    """What looks like an element is shown as it was written, everywhere."""
    page = join(context, server.url, MARKUP)
    say(page, MARKUP)
    expect(page.get_by_role("log")).to_contain_text(f"{MARKUP}: {MARKUP}")
    expect(page.get_by_role("complementary")).to_contain_text(MARKUP)
    other = join(context, server.url, "Ann")  # sees it in the history and the list
    expect(other.get_by_role("log")).to_contain_text(MARKUP)
    expect(other.get_by_role("combobox", name="To")).to_contain_text(MARKUP)
    assert page.locator("img").count() == other.locator("img").count() == 0


def test_a_refusal_is_shown(server: ChatServer, context: BrowserContext):
    """A name that is taken: the page says so, and lets one try another."""
    join(context, server.url, "Ann")
    page = context.new_page()
    page.goto(server.url)
    page.get_by_label("Your name").fill("ann")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("take another name")
    page.get_by_label("Your name").fill("Bo")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("In lobby as Bo")


def test_the_page_comes_back_after_a_restart(server: ChatServer, browser: Browser):
    """By itself, with the same name, and it hears the others again."""
    context = browser.new_context()  # its console may say that a connection failed
    page = join(context, server.url, "Ann")
    server.stop()
    expect(page.get_by_role("status")).to_contain_text("Connection lost")
    server.start()
    expect(page.get_by_role("status")).to_have_text(
        "In lobby as Ann", timeout=60_000 * TIME_UNIT
    )
    say(page, "Is anybody there?")
    expect(page.get_by_role("log")).to_contain_text("Ann: Is anybody there?")
    context.close()
