"""A real JupyterLab, and a real browser that uses it as a learner does.

The notebooks are copies, so that no test writes into the workbook's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.lab import Lab
from tests.conftest import TIME_UNIT
from workbook import silence_news

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
QUIET = [
    "--no-sandbox",  # CI runs as root, where Chromium's sandbox refuses to
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Chromium these tests are skipped; CI requires it."""
    if CHROMIUM is None and not os.environ.get("CI"):
        skip = pytest.mark.skip(reason="needs Chromium")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def lab_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab over copies of the notebooks, token and all."""
    folder = tmp_path_factory.mktemp("workbook")
    for name in ("notebooks", "labs"):
        shutil.copytree(ROOT / name, folder / name)
    silence_news(sys.prefix)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "WORKBOOK_LEDGER": str(folder / "ledger.json"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    argv = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    argv += [f"--ServerApp.root_dir={folder}", "--port=0", "--ip=127.0.0.1"]
    argv += ["--IdentityProvider.token=secret"]
    argv += ["--LabApp.expose_app_in_browser=True", "--log-level=ERROR"]
    with subprocess.Popen(argv, cwd=folder, env=environment) as process:
        try:
            yield wait_for_server(folder / "runtime", process)
        finally:
            process.terminate()
            process.wait(timeout=30 * TIME_UNIT)


def wait_for_server(runtime: Path, process: subprocess.Popen) -> str:
    """Its address, which it writes into a file before it answers."""
    deadline = time.monotonic() + 60 * TIME_UNIT
    while True:
        try:
            for file in runtime.glob("jpserver-*.json"):
                url = json.loads(file.read_text())["url"].rstrip("/")
                urllib.request.urlopen(f"{url}/api?token=secret", timeout=5).close()
                return url
        except (OSError, ValueError):
            pass  # half written, or not answering yet
        assert process.poll() is None, "JupyterLab ended before it answered"
        assert time.monotonic() < deadline, "JupyterLab does not answer"
        time.sleep(0.1)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Ends with its test: while it lives, its event loop runs in our thread."""
    assert CHROMIUM, "CI needs Chromium: .ci/run installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def lab(lab_url: str, browser: Browser) -> Iterator[Lab]:
    """A page of JupyterLab, at laptop size. Its kernels end with the test."""
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    page: Page = context.new_page()
    # JupyterLab took over a minute to open beside a full test run and other work.
    page.set_default_timeout(120_000 * TIME_UNIT)
    lab = Lab(page, lab_url)
    yield lab
    lab.shut_down()
    context.close()
