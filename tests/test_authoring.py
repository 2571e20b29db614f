"""helpers.authoring: what is stored depends on the notebook and on nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import authoring

NOISY = """
import os, sys, warnings
print("one", flush=True)
print("50 %|█████", file=sys.stderr, flush=True)
print("two", flush=True)
print(os.path.basename(os.getcwd()))
"""
WIDGET = "import ipywidgets; ipywidgets.IntSlider(7)"


def store(path: Path, *cells: nbformat.NotebookNode) -> Path:
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def outputs(path: Path) -> list[list[dict]]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell.outputs for cell in cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory) -> Path:
    """A notebook with what varies from run to run, after a refresh."""
    cells = [new_markdown_cell("# It"), new_code_cell(NOISY), new_code_cell(WIDGET)]
    cells[1].metadata["execution"] = {"iopub.execute_input": "2020-01-01"}
    cells[1].metadata["tags"] = ["kept"]
    path = store(tmp_path_factory.mktemp("folder") / "it.ipynb", *cells)
    authoring.refresh(path)
    return path


def test_stores_outputs_and_counts(refreshed):
    """The print is there, in one piece, made in the notebook's own folder."""
    [noisy, _] = outputs(refreshed)
    [printed] = noisy
    assert printed.text == f"one\ntwo\n{refreshed.parent.name}\n"
    cells = nbformat.read(refreshed, as_version=4).cells
    assert [cell.execution_count for cell in cells[1:]] == [1, 2]


def test_stores_no_progress_bar(refreshed):
    """What went to stderr is gone."""
    assert "█" in NOISY
    assert "█" not in str(outputs(refreshed))


def test_a_widget_leaves_a_word_in_its_place(refreshed):
    """A page without a kernel would show an error or the widget's repr."""
    [_, [shown]] = outputs(refreshed)
    assert shown.data == {"text/plain": authoring.INSTEAD_OF_WIDGET}
    assert "widgets" not in nbformat.read(refreshed, as_version=4).metadata


def test_volatile_metadata_goes_and_tags_stay(refreshed):
    """Versions and times would differ from author to author."""
    notebook = nbformat.read(refreshed, as_version=4)
    assert notebook.cells[1].metadata == {"tags": ["kept"]}
    assert notebook.metadata.language_info == {"name": "python"}


def test_a_second_refresh_changes_no_byte(refreshed):
    """Ids stay, and nothing that differs between two runs is stored."""
    before = refreshed.read_bytes()
    authoring.refresh(refreshed)
    assert refreshed.read_bytes() == before


def test_what_a_widget_shows_beside_itself_is_kept():
    """A bundle that has HTML for pages without a kernel keeps it."""
    bundle = {authoring.WIDGET: {}, "text/html": "<p>7</p>", "text/plain": "IntSlider"}
    output = authoring.tidy(new_output("display_data", data=bundle))
    assert output.data == {"text/html": "<p>7</p>", "text/plain": "IntSlider"}


@pytest.mark.parametrize(
    ("source", "tags", "reason"),
    [
        ("x = 1\n1 / 0", [], "ZeroDivisionError: division by zero"),
        ("import os\nos._exit(1)", [], "its kernel died"),
        ("import time\ntime.sleep(60)", [], "it took longer than 2 s"),
        ("print('✘ it is faster')", ["nbval-check-output"], "a claim does not hold"),
    ],
)
def test_failure_stores_nothing_and_names_the_cell(tmp_path, source, tags, reason):
    """The notebook stays as it was, byte for byte, and no other file is left."""
    bad = new_code_cell(source, metadata={"tags": tags})
    path = store(tmp_path / "it.ipynb", new_markdown_cell("# It"), bad)
    before = path.read_bytes()
    with pytest.raises(authoring.NotStored) as caught:
        authoring.refresh(path, timeout=2 if "sleep" in source else 60)
    first_line = source.splitlines()[0]
    assert str(caught.value) == f"cell 2 of 2 ({first_line}): {reason}"
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["it.ipynb"]


def test_a_file_that_is_no_notebook_is_a_line(tmp_path, capsys):
    """Others are still refreshed, and the exit code is not zero."""
    bad = tmp_path / "bad.ipynb"
    bad.write_text("not JSON")
    absent = tmp_path / "absent.ipynb"
    assert authoring.main("refresh", str(bad), str(absent)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["bad.ipynb", "absent.ipynb"]


# -- badges ------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A small repository with the address of another owner."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.workbook]\nrepository = "https://github.com/ada/week"\nref = "v1"\n'
    )
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(authoring, "ROOT", tmp_path)
    monkeypatch.setattr(authoring, "START", tmp_path / "notebooks" / "00.ipynb")
    return tmp_path


def test_badges_follow_the_address(root):
    """After the address changed, README and notebooks are corrected, others not."""
    old = "[![Old](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/x)"
    (root / "README.md").write_text(f"# Week\n\n{old}\n")
    first = root / "notebooks" / "01.ipynb"
    store(first, new_markdown_cell(f"# One\n{old}"), new_code_cell("1"))
    store(root / "notebooks" / "02.ipynb", new_markdown_cell("# Two, without"))
    assert authoring.write_badges() == [root / "README.md", first]
    assert (
        "gh/ada/week/v1?labpath=notebooks%2F00.ipynb"
        in (root / "README.md").read_text()
    )
    cells = json.loads(first.read_text())["cells"]
    assert authoring.badge(first) in "".join(cells[0]["source"])
    assert authoring.write_badges() == [], "a second time there is nothing to do"
