"""What holds for every lab: who passes, who does not, and who must be caught by what.

A lab is four things beside its notebook, all found by its name:

    labs/lab1-resumable-upload.ipynb
    labs/checks/lab1_resumable_upload.py        with LAB, or LABS where it has parts
    labs/solutions/lab1_resumable_upload.py     with the function that LAB names
    tests/labs/wrong/lab1_resumable_upload/     one known-wrong submission a file

A wrong submission of a part has the function, or the class, of that part only.
A wrong submission says in CAUGHT_BY which requirement must catch it, and in SAYS a
piece of the message that recognises its mistake. Where one mistake can not but break
another requirement too, ALSO_CAUGHT_BY says which, and why; PERHAPS_CAUGHT_BY does so
where it hangs on the machine.

To try a submission on every requirement takes a few seconds of processor time. It is
done for the first one of each requirement; the others are tried on their own only.
WORKBOOK_THOROUGH=1 tries all on all.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat

from helpers.lesson.check import Lab

ROOT = Path(__file__).resolve().parents[2]

# For what takes no time at all on a quiet machine: starting one child process.
AT_ONCE = 30.0  # seconds


class LabProof:
    """The proofs for one lab, by its name, as in ``lab1-resumable-upload``."""

    def __init__(self, name: str) -> None:
        self.notebook = ROOT / "labs" / f"{name}.ipynb"
        module = name.replace("-", "_")
        checks = importlib.import_module(f"labs.checks.{module}")
        self.labs: list[Lab] = getattr(checks, "LABS", None) or [checks.LAB]
        self.solution = importlib.import_module(f"labs.solutions.{module}")
        self.wrong = sorted((ROOT / "tests" / "labs" / "wrong" / module).glob("*.py"))
        self.names = [r.name for lab in self.labs for r in lab.requirements]
        first = {load(path).CAUGHT_BY: path for path in reversed(self.wrong)}
        thorough = os.environ.get("WORKBOOK_THOROUGH") == "1"
        self.tried_on_all = set(self.wrong if thorough else first.values())

    # -- what the lab consists of ---------------------------------------------------

    def assert_enough(self) -> None:
        """Six requirements and eight wrong submissions, each requirement with one."""
        assert len(self.names) >= 6
        assert len(self.wrong) >= 8
        caught_by = {load(path).CAUGHT_BY for path in self.wrong}
        assert caught_by == set(self.names)

    def given(self, lab: Lab) -> Callable:
        """What the notebook gives: a stub to write, or a server to mend."""
        notebook = nbformat.read(self.notebook, as_version=4)
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        made = re.compile(rf"^(async )?(def|class) {lab.function}\b", re.M)
        [source] = [cell for cell in cells if made.search(cell)]
        names: dict = {"__name__": "given"}
        exec(cells[0], names)  # the imports
        exec(source, names)
        return names[lab.function]

    # -- the proofs -----------------------------------------------------------------

    def assert_stub_passes_nothing(self) -> None:
        """And says so soon: it does not wait for each requirement's time-out."""
        began = time.monotonic()
        report = self.labs[0].check(self.given(self.labs[0]))
        assert time.monotonic() - began < AT_ONCE
        assert report.met == []
        assert "not written yet" in repr(report)

    def assert_given_fails_all(self, lab: Lab) -> None:
        """What is given to be mended: each requirement finds something to mend."""
        report = lab.check(self.given(lab))
        assert set(report.failed) == {r.name for r in lab.requirements}, f"\n{report}"

    def assert_solution_passes(self) -> None:
        """The text is the same every time, so that a notebook can store it."""
        for lab in self.labs:
            report = lab.check(getattr(self.solution, lab.function))
            assert report, f"\n{report}"
            rows = [f"✔ {requirement.title}" for requirement in lab.requirements]
            assert repr(report).endswith("\n\n" + "\n".join(rows))

    def assert_caught(self, path: Path) -> None:
        """By the requirement that it names, in its words, and by nothing unrelated.

        One that fails the first requirement is not tried on the others.
        """
        submission = load(path)
        [lab] = [lab for lab in self.labs if hasattr(submission, lab.function)]
        if path not in self.tried_on_all:
            self._assert_recognised(submission, lab)
            return
        report = lab.check(getattr(submission, lab.function))
        also = getattr(submission, "ALSO_CAUGHT_BY", {})
        perhaps = getattr(submission, "PERHAPS_CAUGHT_BY", {})
        reasons = [*also.values(), *perhaps.values()]
        assert all(reasons), "say why it is caught by more than one"
        surely = set(report.failed) - set(perhaps)
        assert surely == {submission.CAUGHT_BY, *also}, f"\n{report}"
        assert submission.SAYS in report.failed[submission.CAUGHT_BY], f"\n{report}"
        if self.names[0] == submission.CAUGHT_BY:  # the plain case
            assert report.met == []

    def _assert_recognised(self, submission: ModuleType, lab: Lab) -> None:
        """By the requirement that it names, beside the plain case."""
        of_one = copy.copy(lab)
        plain = lab.requirements[0].name
        of_one.requirements = [
            r for r in lab.requirements if r.name in (plain, submission.CAUGHT_BY)
        ]
        report = of_one.check(getattr(submission, lab.function))
        assert submission.CAUGHT_BY in report.failed, f"\n{report}"
        assert submission.SAYS in report.failed[submission.CAUGHT_BY], f"\n{report}"

    def assert_ends(self, function: Callable, message: str) -> None:
        """An endless loop or a hang ends in a message, and this process goes on."""
        lab = self.labs[0]
        first = lab.requirements[0]
        began = time.monotonic()
        report = lab.check(function)
        assert time.monotonic() - began < first.limit + AT_ONCE
        assert set(report.failed) == {first.name}
        assert message in report.failed[first.name]


def load(path: Path) -> ModuleType:
    """The submission as a module that no other process could import.

    So its functions travel by value, as those of a notebook do.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
