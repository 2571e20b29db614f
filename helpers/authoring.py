"""For authors: run a notebook and store its outputs, and write the Binder badges.

    python3 workbook.py refresh notebooks/01-request-response.ipynb
    python3 workbook.py badges

What is stored depends on the notebook only: no times of execution, no widget
state, no progress bars, and cell ids that stay.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote

import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

__all__ = ["NotStored", "badge", "clean", "notebooks", "refresh", "write_badges"]

ROOT = Path(__file__).resolve().parent.parent
START = ROOT / "notebooks" / "00-start-here.ipynb"

CELL_TIMEOUT = 120  # seconds: twice what the tests allow, for a busy machine
CHECKED = "nbval-check-output"  # nbval compares what this cell prints
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
VOLATILE = ["execution", "ExecuteTime", "collapsed", "scrolled"]

WIDGET = "application/vnd.jupyter.widget-view+json"
INSTEAD_OF_WIDGET = "[a live control stands here once this cell has run]"

BADGE = re.compile(r"\[!\[[^]]*\]\([^)]*\)\]\(https://mybinder\.org/[^)]*\)")


class NotStored(Exception):
    """The notebook stays as it was; the message says which cell is the reason."""


def notebooks() -> list[Path]:
    """All notebooks of the workbook, in order, then those of the labs."""
    folders = [ROOT / "notebooks", ROOT / "labs"]
    return [path for folder in folders for path in sorted(folder.glob("*.ipynb"))]


# -- run and store -----------------------------------------------------------------


def refresh(path: Path, *, timeout: float = CELL_TIMEOUT) -> None:
    """Run the notebook in its own folder, and store it with its new outputs.

    ``timeout`` is for one cell, in seconds. Raises NotStored when a cell fails,
    takes longer, or prints a claim that does not hold.
    """
    notebook = nbformat.read(path, as_version=4)
    run(notebook, path.parent, timeout=timeout)
    clean(notebook)
    check_claims(notebook)
    put_badges(notebook, path)
    write(notebook, path)


def run(notebook: NotebookNode, folder: Path, *, timeout: float) -> None:
    """Run all cells in a new kernel. Raises NotStored."""
    started: list[int] = []
    client = nbclient.NotebookClient(
        notebook,
        timeout=timeout,
        record_timing=False,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=lambda cell, cell_index: started.append(cell_index),
    )
    try:
        client.execute()
    except CellExecutionError as error:
        reason = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        reason = f"it took longer than {timeout:g} s"
    except DeadKernelError:
        reason = "its kernel died"
    else:
        return
    raise NotStored(f"{describe(notebook, started[-1])}: {reason}")


def describe(notebook: NotebookNode, index: int) -> str:
    """A cell as an author finds it: by its number in the notebook and its start."""
    lines = notebook.cells[index].source.strip().splitlines()
    return f"cell {index + 1} of {len(notebook.cells)} ({lines[0]})"


def clean(notebook: NotebookNode) -> None:
    """Remove what differs between two runs, and what no page can show."""
    notebook.metadata = NotebookNode(
        kernelspec=KERNEL, language_info={"name": "python"}
    )
    for cell in notebook.cells:
        for key in VOLATILE:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = joined([tidy(o) for o in cell.outputs if not is_progress(o)])


def is_progress(output: NotebookNode) -> bool:
    """Progress bars and warnings go to stderr."""
    return output.output_type == "stream" and output.name == "stderr"


def tidy(output: NotebookNode) -> NotebookNode:
    """A widget needs a kernel: keep what it shows without, or say that it is there."""
    data = output.get("data", {})
    if data.pop(WIDGET, None) is not None and data.keys() <= {"text/plain"}:
        data["text/plain"] = INSTEAD_OF_WIDGET
    return output


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """One run flushes between two prints and the next does not: join the pieces."""
    result: list[NotebookNode] = []
    for output in outputs:
        if result and _both_stdout(result[-1], output):
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def _both_stdout(*outputs: NotebookNode) -> bool:
    return all(o.output_type == "stream" and o.name == "stdout" for o in outputs)


def check_claims(notebook: NotebookNode) -> None:
    """Raises NotStored when a checked cell shows a claim that does not hold."""
    for index, cell in enumerate(notebook.cells):
        if CHECKED in cell.metadata.get("tags", []) and "✘" in str(cell.outputs):
            raise NotStored(f"{describe(notebook, index)}: a claim does not hold")


def write(notebook: NotebookNode, path: Path) -> None:
    """All or nothing, so that a full disk or Ctrl-C leaves the old notebook."""
    beside = path.with_suffix(".ipynb.new")
    try:
        nbformat.write(notebook, beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


# -- badges ------------------------------------------------------------------------


def badge(path: Path) -> str:
    """The Markdown that opens this notebook on Binder.

    The address of the repository is written once, in pyproject.toml.
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    where = settings["tool"]["workbook"]
    name = where["repository"].removeprefix("https://github.com/")
    notebook = quote(path.resolve().relative_to(ROOT).as_posix(), safe="")
    address = f"https://mybinder.org/v2/gh/{name}/{where['ref']}?labpath={notebook}"
    return f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({address})"


def put_badges(notebook: NotebookNode, path: Path) -> bool:
    """Correct the badges of one notebook; returns whether one was wrong."""
    before = [cell.source for cell in notebook.cells]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = BADGE.sub(lambda _: badge(path), cell.source)
    return before != [cell.source for cell in notebook.cells]


def write_badges() -> list[Path]:
    """Correct the badges of README.md and of every notebook; returns what changed."""
    changed = []
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if (new := BADGE.sub(lambda _: badge(START), text)) != text:
        readme.write_text(new, encoding="utf-8")
        changed.append(readme)
    for path in notebooks():
        notebook = nbformat.read(path, as_version=4)
        if put_badges(notebook, path):
            write(notebook, path)
            changed.append(path)
    return changed


# -- the command -------------------------------------------------------------------


def refresh_all(paths: list[Path]) -> int:
    """Refresh each, and go on after one that fails; returns how many failed."""
    failed = 0
    for path in paths:
        try:
            refresh(path)
        except (NotStored, OSError, nbformat.reader.NotJSONError) as error:
            print(f"{path.name} not stored: {error}", file=sys.stderr)
            failed += 1
        else:
            print(f"{path.name} stored", flush=True)
    return failed


def main(command: str, *arguments: str) -> int:
    if command == "refresh":
        return 1 if refresh_all([Path(argument) for argument in arguments]) else 0
    for path in write_badges():
        print(f"{path.name}: badge corrected")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
