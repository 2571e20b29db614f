"""The rules of a notebook that nbval does not hold, over every stored notebook.

nbval passes a cell that was stored without having run, and compares only cells
that are tagged: so these tests see to it that all ran and all claims are tagged.
"""

from __future__ import annotations

import ast
import builtins
import re
import socket
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from helpers import authoring

CODE_LINES = 160
CODE_LINES_IN_A_CELL = 20
CODE_CELLS_IN_A_ROW = 3
LINE_WIDTH = 79
CELLS = 65
WORDS = 2300
WORDS_IN_A_CELL = 250

NOTEBOOKS = authoring.notebooks()
MACHINE_PATH = re.compile(r"(?<![\w.])(/(home|root|tmp|work|Users|var)/|[A-Z]:\\\\?\w)")
DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[\w+/=]+")
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")

NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@cache
def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == kind]


def code_lines(cell: nbformat.NotebookNode) -> list[str]:
    return [line for line in cell.source.splitlines() if line.strip()]


def first_line(cell: nbformat.NotebookNode) -> str:
    return cell.source.partition("\n")[0]


def tree(cell: nbformat.NotebookNode) -> ast.Module:
    return ast.parse(TransformerManager().transform_cell(cell.source))


def calls(cell: nbformat.NotebookNode, name: str) -> bool:
    return any(
        isinstance(node, ast.Call) and getattr(node.func, "id", None) == name
        for node in ast.walk(tree(cell))
    )


def imports(cell: nbformat.NotebookNode) -> list[ast.Import | ast.ImportFrom]:
    found = ast.walk(tree(cell))
    return [node for node in found if isinstance(node, ast.Import | ast.ImportFrom)]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def texts(cell: nbformat.NotebookNode) -> Iterator[str]:
    """Each piece of text in a cell's outputs; not pictures."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield "\n".join(output.get("traceback", []))
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/") or kind == "image/svg+xml":
                yield DATA_URI.sub("", data)


class Images(HTMLParser):
    """The images in a piece of HTML that lack a text in their place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.silent: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "img" and not named.get("alt"):
            self.silent.append(tag)
        is_picture = tag == "svg" and named.get("aria-hidden") != "true"
        if is_picture and not (named.get("aria-label") or named.get("aria-labelledby")):
            self.silent.append(tag)


# -- it ran ------------------------------------------------------------------------


def test_there_are_notebooks():
    """The rules below are held by something."""
    assert NOTEBOOKS


@every_notebook
def test_is_stored_as_run_from_top_to_bottom(path):
    """Its cells have run in order in one fresh kernel: 1, 2, 3, ..."""
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1)), f"refresh {path.name}"


@every_notebook
def test_stores_no_error(path):
    """No output is an error, except where a cell is tagged to raise one."""
    for cell in cells(path, "code"):
        if "raises-exception" not in tags(cell):
            kinds = {output.output_type for output in cell.outputs}
            assert "error" not in kinds, first_line(cell)


@every_notebook
def test_a_cell_said_to_raise_did(path):
    """nbval passes a cell with that tag which does not raise."""
    for cell in cells(path, "code"):
        if "raises-exception" in tags(cell):
            kinds = [output.output_type for output in cell.outputs]
            assert "error" in kinds, first_line(cell)


@every_notebook
def test_claims_are_compared_and_hold(path):
    """A cell that claims is tagged for nbval, and what is stored is its ✔ lines."""
    for cell in cells(path, "code"):
        if calls(cell, "claim"):
            assert authoring.CHECKED in tags(cell), first_line(cell)
            printed = "".join(texts(cell)).strip()
            assert printed.startswith("✔"), first_line(cell)
            assert "✘" not in printed, first_line(cell)


@every_notebook
def test_claims_something(path):
    """A notebook without one claim shows nothing that CI could hold it to."""
    if path.parent.name == "labs":
        pytest.skip("a lab has its checks instead")
    assert any(calls(cell, "claim") for cell in cells(path, "code"))


# -- what is stored ----------------------------------------------------------------


@every_notebook
def test_stores_no_widget_state(path):
    """GitHub calls a notebook with widget metadata invalid."""
    assert "widgets" not in read(path).metadata
    for cell in cells(path, "code"):
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        assert authoring.WIDGET not in kinds, f"refresh it: {first_line(cell)}"


@every_notebook
def test_names_no_machine(path):
    """No output has a path or the name of the machine that it was stored on."""
    host = socket.gethostname()
    for cell in cells(path, "code"):
        for text in texts(cell):
            found = MACHINE_PATH.search(text)
            assert not found, f"{first_line(cell)}: {found and found[0]}"
            assert len(host) < 5 or host not in text, first_line(cell)


@every_notebook
def test_each_picture_has_a_text(path):
    """Every image in HTML says in words what it shows."""
    for cell in cells(path, "code"):
        for output in cell.outputs:
            for kind in ["text/html", "image/svg+xml"]:
                text = output.get("data", {}).get(kind, "")
                assert not Images(text).silent, first_line(cell)


# -- its shape ---------------------------------------------------------------------


@every_notebook
def test_code_is_short(path):
    """Long code is scaffolding, and belongs into helpers."""
    sizes = [len(code_lines(cell)) for cell in cells(path, "code")]
    assert max(sizes) <= CODE_LINES_IN_A_CELL
    assert sum(sizes) <= CODE_LINES


@every_notebook
def test_lines_fit(path):
    """A line of code fits beside the file browser of a laptop."""
    for cell in cells(path, "code"):
        for line in cell.source.splitlines():
            assert len(line) <= LINE_WIDTH, line


@every_notebook
def test_prose_is_short(path):
    """Words are counted in the prose; a wall of them is not read."""
    words = [len(cell.source.split()) for cell in cells(path, "markdown")]
    assert max(words) <= WORDS_IN_A_CELL
    assert sum(words) <= WORDS


@every_notebook
def test_cells_are_few_and_explained(path):
    """Prose stands between the runs of code."""
    kinds = [cell.cell_type for cell in read(path).cells]
    assert len(kinds) <= CELLS
    runs = [len(list(run)) for kind, run in groupby(kinds) if kind == "code"]
    assert max(runs) <= CODE_CELLS_IN_A_ROW


@every_notebook
def test_one_cell_imports(path):
    """All imports stand in the first code cell, with their names written out."""
    [first, *others] = cells(path, "code")
    assert imports(first)
    for statement in imports(first):
        assert all(alias.name != "*" for alias in statement.names)
    for cell in others:
        assert not imports(cell), first_line(cell)


@every_notebook
def test_cell_ids_are_there_and_differ(path):
    """A stable id lets a diff and a re-run cell find each other."""
    ids = [cell.get("id") for cell in read(path).cells]
    assert None not in ids
    assert len(set(ids)) == len(ids)


# -- where it leads ----------------------------------------------------------------


@every_notebook
def test_links_lead_somewhere(path):
    """Relative links, previous and next among them, lead to files that exist."""
    for cell in cells(path, "markdown"):
        for target in re.findall(
            r"\]\((?![a-z]+:|#|attachment)([^)#\s]+)", cell.source
        ):
            assert (path.parent / target).exists(), target


@every_notebook
def test_badge_has_the_one_address(path):
    """Its one Binder badge opens this notebook, at the address in pyproject.toml."""
    prose = "\n".join(cell.source for cell in cells(path, "markdown"))
    found = authoring.BADGE.findall(prose)
    assert found == [authoring.badge(path)], "python3 workbook.py badges corrects it"
    assert prose.count("mybinder.org") == found[0].count("mybinder.org")


def names(code: str) -> tuple[set[str], set[str]]:
    """Which names the code makes, and which it uses."""
    made, used = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, NAMED) and node.name:
            made.add(node.name)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).split(".")[0])
    return made, used


@every_notebook
def test_experiments_run_in_any_order(path):
    """Once the import cell ran, an experiment needs no other one before it.

    One whose heading has the tag goes-on needs the one right before it, and says so.
    """
    sections = [""]
    for cell in read(path).cells:
        if cell.cell_type == "code":
            sections[-1] += cell.source + "\n"
        elif re.search(r"^## \d", cell.source, flags=re.M):
            if "goes-on" in cell.metadata.get("tags", []):
                assert "run its cells first" in cell.source
                continue
            sections.append("")
    imports, *experiments = sections
    known = names(imports)[0] | set(dir(builtins))
    for code in experiments:
        made, used = names(code)
        assert used <= made | known, f"from another experiment: {used - made - known}"
