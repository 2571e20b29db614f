"""What a learner does in JupyterLab, by name."""

from __future__ import annotations

from contextlib import suppress

from playwright.sync_api import Locator, Page, TimeoutError

RESTARTS = 3

IDLE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const session = panel && panel.sessionContext;
    return session && session.isReady && session.session
        && session.session.kernel.status === 'idle';
}"""
RESTART = """async () => {
    const { commands, shell } = window.jupyterapp;
    window.answered = window.allRan = false;
    await commands.execute('notebook:clear-all-cell-outputs');
    const { kernel } = shell.currentWidget.sessionContext.session;
    await kernel.restart();
    kernel.requestKernelInfo().then(() => { window.answered = true; });
}"""
RUN_ALL = """() => {
    const { commands } = window.jupyterapp;
    commands.execute('notebook:run-all-cells').then(() => { window.allRan = true; });
}"""
# How far it got, for the message of a test that waited in vain.
STATE = """() => {
    const { content, sessionContext } = window.jupyterapp.shell.currentWidget;
    const cells = [...content.model.cells].filter(cell => cell.type === 'code');
    const ran = cells.filter(cell => cell.executionCount !== null).length;
    const { status, connectionStatus } = sessionContext.session.kernel;
    return `${ran} of ${cells.length} cells ran; kernel ${status}, ${connectionStatus}`;
}"""
OUTPUTS = """() => {
    const { model } = window.jupyterapp.shell.currentWidget.content;
    return [...model.cells].filter(cell => cell.type === 'code')
        .flatMap(cell => cell.toJSON().outputs);
}"""
SHUT_DOWN = """async () => {
    const { sessions } = window.jupyterapp.serviceManager;
    await sessions.shutdownAll();
}"""


class Lab:
    """JupyterLab in a page of a real browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self, path: str) -> None:
        """Open a notebook, and wait until its kernel is ready."""
        # A workspace of its own ("reset"), or tabs of earlier tests come back.
        self.page.goto(f"{self.url}/lab/tree/{path}?token=secret&reset")
        self.page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget")
        self.page.wait_for_function(IDLE)

    def execute(self, command: str) -> None:
        """Run a command of JupyterLab, without waiting for what it starts."""
        script = "c => { window.jupyterapp.commands.execute(c) }"
        self.page.evaluate(script, command)

    def run_all(self, *, timeout: float) -> list[dict]:
        """Restart the kernel, run all cells, and return all outputs.

        ``timeout`` is in seconds.
        """
        self.restart(timeout / 4)
        self.page.evaluate(RUN_ALL)
        self._wait_for("allRan", timeout)
        return self.outputs()

    def restart(self, patience: float) -> None:
        """Restart the kernel, and once more if it does not answer in that time.

        A kernel opens its ports again, and a test beside this one may have got one.
        """
        for _ in range(RESTARTS - 1):
            self.page.evaluate(RESTART)
            with suppress(AssertionError):
                return self._wait_for("answered", patience)
        self.page.evaluate(RESTART)
        return self._wait_for("answered", patience)

    def _wait_for(self, flag: str, timeout: float) -> None:
        try:
            self.page.wait_for_function(f"() => window.{flag}", timeout=timeout * 1000)
        except TimeoutError:
            state = self.page.evaluate(STATE)
            raise AssertionError(f"not {flag} in {timeout:g} s: {state}") from None

    def run(self, text: str) -> Locator:
        """Run the code cell that contains ``text``, wait for its end, return it."""
        cell = self.cell(text)
        script = "() => window.jupyterapp.commands.execute('notebook:run-cell')"
        self.page.evaluate(script)
        return cell

    def start(self, code: str) -> None:
        """Run ``code`` in a new cell below; returns while it runs."""
        script = """async code => {
            const { commands, shell } = window.jupyterapp;
            await commands.execute('notebook:insert-cell-below');
            const { content } = shell.currentWidget;
            content.activeCell.model.sharedModel.setSource(code);
            commands.execute('notebook:run-cell');
        }"""
        self.page.evaluate(script, code)
        self.page.wait_for_function(f"() => !({IDLE})()")

    def outputs(self) -> list[dict]:
        return self.page.evaluate(OUTPUTS)

    def cell(self, text: str) -> Locator:
        """The code cell that contains ``text``, in sight."""
        script = """text => {
            const { content } = window.jupyterapp.shell.currentWidget;
            const found = content.widgets.findIndex(
                cell => cell.model.type === 'code'
                    && cell.model.sharedModel.source.includes(text));
            content.activeCellIndex = found;
            content.scrollToItem(found, 'start');
            return found;
        }"""
        index = self.page.evaluate(script, text)
        assert index >= 0, f"no code cell contains {text!r}"
        cell = self.page.locator(
            f".jp-Notebook .jp-Cell[data-windowed-list-index='{index}']"
        )
        cell.scroll_into_view_if_needed()
        return cell

    def shut_down(self) -> None:
        self.page.evaluate(SHUT_DOWN)
