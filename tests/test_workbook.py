"""workbook.py: set-up happens once and completely, and failures end in one line."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import workbook
from tests.conftest import holds_within

# workbook.py, with the environment that runs this test, and nothing to set up.
AS_SET_UP = """
import functools, pathlib, signal, sys, workbook
signal.signal(signal.SIGINT, signal.default_int_handler)  # if ignored till now
workbook.Venv.set_up = lambda self: None
workbook.Venv = functools.partial(workbook.Venv, pathlib.Path(sys.prefix))
sys.exit(workbook.main(sys.argv[1:]))
"""


def call(*arguments: str, code: str = AS_SET_UP) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=workbook.ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def steps(monkeypatch) -> list[str]:
    """Set-up steps are only noted; one whose title stands in `fail` fails."""
    noted: list[str] = []

    def note(title, argv, *, cure=""):
        noted.append(title)
        if title in fail:
            raise workbook.Failed(f"{title} failed: no wheel")

    monkeypatch.setattr(workbook, "run_step", note)
    for direct in ["put_root_on_path", "trust_notebooks"]:
        monkeypatch.setattr(workbook.Venv, direct, lambda self: None)
    fail.clear()
    return noted


fail: set[str] = set()


@pytest.fixture
def venv(tmp_path) -> workbook.Venv:
    """An environment that is not there yet, for two packages."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("a==1\nb==2\n")
    venv = workbook.Venv(tmp_path / ".venv", requirements)
    venv.scripts.mkdir(parents=True)
    venv.python.touch()
    return venv


ALL_STEPS = ["making .venv", "installing uv", "installing 2 packages", "trying it"]

# -- set-up ------------------------------------------------------------------------


def test_first_call_sets_up_and_second_does_nothing(venv, steps):
    """All steps the first time, none the second."""
    venv.set_up()
    assert steps == ALL_STEPS
    steps.clear()
    venv.set_up()
    assert steps == []


def test_changed_requirements_are_installed_into_what_is_there(venv, steps):
    """The environment stays, with what a learner added; only packages are installed."""
    venv.set_up()
    steps.clear()
    venv.requirements.write_text("a==1\nb==3\n")
    venv.set_up()
    assert steps == ALL_STEPS[1:]


def test_an_environment_of_another_folder_is_not_touched(venv, steps, tmp_path):
    """A linked .venv is used as it is, but neither made anew nor changed."""
    other = tmp_path / "other"
    venv.folder.rename(other)
    venv.folder.symlink_to(other)
    with pytest.raises(workbook.Failed, match=r"link .* Remove the link"):
        venv.set_up()
    assert steps == []


@pytest.mark.parametrize("step", ["making .venv", "trying it"])
def test_interrupted_set_up_is_done_anew(venv, steps, step):
    """Wherever it stopped, the next call begins at the beginning."""
    fail.add(step)
    with pytest.raises(workbook.Failed):
        venv.set_up()
    fail.clear()
    steps.clear()
    venv.set_up()
    assert steps == ALL_STEPS


def test_interrupted_update_is_done_anew(venv, steps):
    """A stamp from before does not vouch for half-installed packages."""
    venv.set_up()
    venv.requirements.write_text("a==1\nb==3\n")
    fail.add("trying it")
    with pytest.raises(workbook.Failed):
        venv.set_up()
    venv.requirements.write_text("a==1\nb==2\n")
    fail.clear()
    steps.clear()
    venv.set_up()
    assert steps == ALL_STEPS


@pytest.mark.parametrize("key", ["python", "root"])
def test_another_python_or_a_moved_folder_makes_it_anew(venv, steps, key):
    """Both are written into the environment's scripts."""
    venv.set_up()
    steps.clear()
    venv.stamp.write_text(json.dumps(venv.wanted() | {key: "another"}))
    venv.set_up()
    assert steps == ALL_STEPS


def test_python_that_is_gone_makes_it_anew(venv, steps):
    """The link to the Python that it was made from leads nowhere."""
    venv.set_up()
    steps.clear()
    venv.python.unlink()
    venv.python.symlink_to("nowhere")
    venv.set_up()
    assert steps == ALL_STEPS


def test_a_garbled_stamp_counts_as_none(venv, steps):
    """A disk that was full when it was written is no reason for a traceback."""
    venv.set_up()
    steps.clear()
    venv.stamp.write_text('{"python')
    venv.set_up()
    assert steps == ALL_STEPS


@pytest.mark.parametrize("step", ["installing uv", "installing 2 packages"])
def test_pip_stands_in_for_uv(venv, steps, step, capsys):
    """Where uv can not be had, or does not get through, pip does it and says so."""
    fail.add(step)
    venv.set_up()
    assert "installing 2 packages with pip" in steps
    assert "Trying again with pip" in capsys.readouterr().out


def test_root_is_on_the_path_of_the_real_environment(tmp_path):
    """The path file lies where Python looks for it, and names the repository."""
    venv = workbook.Venv(tmp_path / "venv")
    made = [sys.executable, "-m", "venv", "--without-pip", str(venv.folder)]
    subprocess.run(made, check=True)
    venv.put_root_on_path()
    question = [venv.python, "-c", "import helpers, sys; print(*sys.path, sep='\\n')"]
    answer = subprocess.run(question, cwd=tmp_path, capture_output=True, text=True)
    assert str(workbook.ROOT) in answer.stdout.splitlines(), answer.stderr


def test_news_are_silenced(tmp_path):
    """JupyterLab reads its defaults from this file of the environment."""
    workbook.silence_news(tmp_path)
    file = tmp_path / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    [settings] = json.loads(file.read_text()).values()
    assert settings == {"fetchNews": "false"}


# -- failures ----------------------------------------------------------------------


def test_failing_step_says_its_last_line_and_the_cure(capfd):
    """All of a tool's words are there to read, and the last line sums up."""
    code = "import sys; print('much'); sys.exit('no route to host')"
    with pytest.raises(workbook.Failed) as caught:
        workbook.run_step("asking", [sys.executable, "-c", code], cure="Go online.")
    assert str(caught.value) == "asking failed: no route to host. Go online."
    assert "much" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (workbook.Failed("no luck"), 1, "workbook: no luck"),
        (PermissionError(13, "Permission denied", ".venv"), 1, "Permission denied"),
        (KeyboardInterrupt(), 130, "workbook: stopped"),
    ],
)
def test_failure_is_one_line_and_an_exit_code(monkeypatch, capsys, raised, code, line):
    """Never a traceback."""

    def fail_to_set_up(self):
        raise raised

    monkeypatch.setattr(workbook.Venv, "set_up", fail_to_set_up)
    assert workbook.main(["check"]) == code
    said = capsys.readouterr().err.strip()
    assert line in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["sing"], ["lab", "--loud"], ["refresh"]])
def test_wrong_use_is_explained(arguments):
    """Exit code 2, and a usage message."""
    ended = call(*arguments)
    assert ended.returncode == 2
    assert "usage: workbook.py" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_old_python_is_told_so():
    """The file compiles for Python 3.6, and its first act is to look at the version."""
    source = Path(workbook.__file__).read_text()
    ast.parse(source, feature_version=(3, 6))
    code = """
        import runpy, sys
        sys.version_info = (3, 9, 2)
        runpy.run_path("workbook.py", run_name="__main__")
    """
    ended = call(code="\n".join(line.strip() for line in code.splitlines()))
    assert ended.returncode == 1
    assert ended.stderr.startswith("workbook: this is Python 3.9 and the workbook")
    assert len(ended.stderr.splitlines()) == 1


def test_uses_the_standard_library_only():
    """A fresh machine has nothing else."""
    found = ast.walk(ast.parse(Path(workbook.__file__).read_text()))
    names = {
        name.name
        for node in found
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert names <= sys.stdlib_module_names


# -- the commands ------------------------------------------------------------------


def test_pytest_gets_its_options_in_order():
    """All after `test` is pytest's, except --quick."""
    options = workbook.parse(["test", "-k", "upload", "--quick", "tests/a.py", "-x"])
    assert options.quick
    assert options.pytest == ["-k", "upload", "tests/a.py", "-x"]


def test_failures_fail_the_command(tmp_path):
    """Tests and cells of notebooks are run, and the last line says that some failed."""
    (tmp_path / "test_it.py").write_text("def test_it(): assert False")
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "1 / 0"}
    cell |= {"execution_count": 1, "outputs": []}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "it.ipynb").write_text(json.dumps(notebook))
    ended = call("test", "-p", "no:cacheprovider", str(tmp_path))
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stdout
    assert "2 failed" in ended.stdout
    assert ended.stderr.splitlines()[-1].startswith("workbook: the tests did not pass")


def test_doctor_reports():
    """It prints a row for Python and is content here."""
    ended = call("doctor")
    assert ended.stdout.startswith("✔ Python")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_doctor_comes_where_set_up_fails():
    """Without an environment it runs on the Python that is there."""
    code = AS_SET_UP.replace("lambda self: None", "refuse")
    refuse = "def refuse(self):\n    raise workbook.Failed('no network')\n"
    code = code.replace("workbook.Venv.set_up", f"{refuse}workbook.Venv.set_up", 1)
    ended = call("doctor", code=code)
    assert "workbook: no network" in ended.stderr
    assert "Python" in ended.stdout


def test_an_unknown_benchmark_is_answered_with_the_known():
    """The line names what there is."""
    ended = call("bench", "nothing")
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert re.search(r"no benchmark 'nothing', but there are: \w+", line)


@pytest.fixture
def lab(tmp_path):
    """`workbook.py lab --no-browser`, with a home of its own."""
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path) for name in ["CONFIG", "RUNTIME"]}
    process = subprocess.Popen(
        [sys.executable, "-c", AS_SET_UP, "lab", "--no-browser"],
        cwd=workbook.ROOT,
        env=os.environ | folders,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()


@pytest.mark.skipif(os.name == "nt", reason="signals a process group")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_lab_serves_this_machine_and_asks_for_the_token(lab, ending, time_unit):
    """It prints an address with a token, refuses without, and stops when told."""
    lines = iter(lab.stdout.readline, "")
    found = (
        re.search(r"(http://127\.0\.0\.1:\d+)(/\S+)\?token=(\w+)", s) for s in lines
    )
    origin, path, token = next(filter(None, found)).groups()
    assert path == "/lab/tree/notebooks/00-start-here.ipynb"
    # A connection each: a server may end one that is kept whenever it likes.
    patience = 30 * time_unit
    assert httpx.get(f"{origin}/api/contents", timeout=patience).status_code == 403
    page = f"{origin}{path}?token={token}"
    answer = httpx.get(page, timeout=patience, follow_redirects=True)
    assert answer.status_code == 200
    if ending == signal.SIGINT:  # the terminal sends Ctrl-C to the whole group
        os.killpg(lab.pid, ending)
    else:
        lab.send_signal(ending)
    rest = lab.stdout.read()
    assert lab.wait(timeout=30 * time_unit) == 128 + ending
    assert "Traceback" not in rest
    # Its port may be another's by now; that nobody of its group lives is what counts.
    assert holds_within(lambda: not lives(lab.pid))


def lives(group: int) -> bool:
    """Whether the process group has a process left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
