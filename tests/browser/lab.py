"""What a learner does in JupyterLab, by name."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

IDLE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const session = panel && panel.sessionContext;
    return session && session.isReady && session.session
        && session.session.kernel.status === 'idle';
}"""
RUN_ALL = """async () => {
    const { commands, shell } = window.jupyterapp;
    window.allRan = false;
    await commands.execute('notebook:clear-all-cell-outputs');
    await shell.currentWidget.sessionContext.session.kernel.restart();
    commands.execute('notebook:run-all-cells').then(() => { window.allRan = true; });
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
        self.page.evaluate(RUN_ALL)
        self.page.wait_for_function("() => window.allRan", timeout=timeout * 1000)
        return self.outputs()

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
