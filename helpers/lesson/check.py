"""Lab checks: a learner's function is judged by what it does, not by how it looks.

A lab names its requirements. Each is a function that puts the learner's function
before a server, usually a hostile one, and raises :class:`Unmet` with a message for
the misconception that it recognised:

    LAB = Lab("lab1", "upload", ["url", "data", "client"], driver=call_upload)

    @LAB.requirement("Every byte arrives", limit=10)
    def delivers(trial: Trial) -> None:
        with UploadServer() as server, Link(server) as link:
            outcome = trial.call(link.make_url("/uploads"), b"...", witness=link)
            ...

    LAB.check(upload)

A lab of several parts has one Lab each, put together by :func:`parts`: each part is
checked on its own, and the lab is done when all of them are.

The function runs in a process of its own (check_process.py). What is judged is what
crossed the wire and what the server has: never how long something took, beyond a
limit that is generous.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle

from helpers.lesson import ledger
from helpers.lesson.check_process import CannotTravel
from helpers.lesson.check_report import Report, Verdict
from helpers.lesson.check_trial import Checking, Requirement, Trial, Unmet

__all__ = ["Lab", "Trial", "Unmet", "parts"]


class Lab:
    """The requirements of one lab, in order.

    ``name`` is its key in the ledger. ``function`` and ``parameters`` say what the
    learner writes, an ``async def`` unless ``is_async=False``; with ``base``, a class
    that extends it. ``driver(function, *args)`` calls it in the child, and makes there
    what can not travel between processes, such as a client. ``draw(capture, title)``
    shows a run that failed, under a title that begins with ``drawn``.

    The first requirement is the plain case. While it is not met, the others are not
    tried: they would only say the same in other words. With ``all_at_once`` there is
    no such case.
    """

    def __init__(
        self,
        name: str,
        function: str,
        parameters: Sequence[str],
        *,
        driver: Callable,
        draw: Callable[[Any, str], Any] | None = None,
        drawn: str = "What crossed the link",
        is_async: bool = True,
        base: type | None = None,
        all_at_once: bool = False,
    ) -> None:
        self.name = name
        self.title = name
        self.function = function
        self.parameters = list(parameters)
        self.requirements: list[Requirement] = []
        self.parts = [self]
        self._driver = driver
        self._draw = draw
        self._drawn = drawn
        self._is_async = is_async and base is None
        self._base = base
        self._all_at_once = all_at_once
        # So that the child imports what the driver uses, and not the whole lab.
        cloudpickle.register_pickle_by_value(sys.modules[driver.__module__])

    @property
    def signature(self) -> str:
        """What the learner writes, as its first line."""
        if self._base is not None:
            return f"class {self.function}({self._base.__name__})"
        word = "async def" if self._is_async else "def"
        return f"{word} {self._call}"

    @property
    def _call(self) -> str:
        return f"{self.function}({', '.join(self.parameters)})"

    def requirement(self, title: str, *, limit: float) -> Callable:
        """Decorate the judge of a requirement; its name is the requirement's name.

        ``limit`` is what one call may take, in seconds, on a machine of today.
        """

        def add(judge: Callable[[Trial], None]) -> Callable[[Trial], None]:
            requirement = Requirement(judge.__name__, title, limit, judge)
            self.requirements.append(requirement)
            return judge

        return add

    # -- checking ----------------------------------------------------------------------

    def check(self, function: Callable) -> Report:
        """Try every requirement on ``function``; what is met goes to the ledger."""
        if problem := self._problem_with(function):
            return self._report([], note=problem)
        try:
            verdicts = self._try_all(function)
        except CannotTravel as error:
            return self._report([], note=_why_it_cannot_travel(self.function, error))
        if _is_stub(verdicts[0]):
            note = "Write its body, run its cell, then run this one again."
            return self._report(
                [], note=f"{self.function}() is not written yet. {note}"
            )
        self._remember(verdicts)
        return self._report(verdicts)

    def _report(self, verdicts: list[Verdict], *, note: str = "") -> Report:
        tried = {verdict.name for verdict in verdicts}
        others = [r for r in self.requirements if r.name not in tried]
        rows = verdicts + [Verdict(r.name, r.title, met=False) for r in others]
        return Report(self.title, rows, note=note, draw=self._draw, drawn=self._drawn)

    def _remember(self, verdicts: list[Verdict]) -> None:
        met = [verdict.name for verdict in verdicts if verdict.met]
        for name in met:
            ledger.done(self._step(name))
        others = [part for part in self.parts if part is not self]
        if len(met) == len(self.requirements) and all(o._is_done() for o in others):
            ledger.done(self.name)

    def _step(self, requirement: str) -> str:
        return f"{self.name}: {requirement}"

    def _is_done(self) -> bool:
        """Whether all its requirements were met, be it one after another."""
        steps = {self._step(requirement.name) for requirement in self.requirements}
        return steps <= set(ledger.read()["done"])

    def _problem_with(self, function: Any) -> str:
        """What can be said without running it; empty when there is nothing to say."""
        if inspect.iscoroutine(function):
            function.close()  # or Python warns that it was never awaited
            return (
                f"This is what {self.function}(...) returned. Hand over the function "
                f"itself, without calling it: check({self.function})."
            )
        if self._base is not None and not _extends(function, self._base):
            return (
                f"This is {function!r:.60}, not a class. Hand over your "
                f"{self.signature} itself, without calling it: check({self.function})."
            )
        if not callable(function):
            return (
                f"This is {function!r:.60}, not a function. Write "
                f"{self.signature} and call check({self.function})."
            )
        if self._is_async and not _is_coroutine_function(function):
            return (
                f"This function is not async. Begin it with {self.signature}, and "
                "await each request in it."
            )
        return self._problem_with_parameters(function)

    def _problem_with_parameters(self, function: Callable) -> str:
        try:
            inspect.signature(function).bind(*self.parameters)
        except TypeError as error:
            return f"It is called as {self._call}, but yours does not fit: {error}."
        except ValueError:  # built in, without a signature to look at
            pass
        return ""

    def _try_all(self, function: Callable) -> list[Verdict]:
        """The first alone, then the others a few at a time."""
        total = len(self.requirements)
        alone = 0 if self._all_at_once else 1
        with Checking(function, self._driver) as checking:
            checking.begin(self.requirements[:alone])
            verdicts = checking.verdicts(total=total)
            if all(verdict.met for verdict in verdicts):
                checking.begin(self.requirements[alone:])
                verdicts = checking.verdicts(total=total)
        return verdicts


def parts(*labs: Lab) -> list[Lab]:
    """These make one lab, in this order; they share its name in the ledger.

    Raises ValueError when they have not one name, or share a requirement's.
    """
    names = [requirement.name for lab in labs for requirement in lab.requirements]
    if len({lab.name for lab in labs}) != 1 or len(set(names)) != len(names):
        raise ValueError("parts share the lab's name, and no name of a requirement")
    for number, lab in enumerate(labs, start=1):
        lab.parts = list(labs)
        lab.title = f"{lab.name}, part {number}"
    return list(labs)


def _is_stub(first: Verdict) -> bool:
    outcome = first.outcome
    return outcome is not None and outcome.raised("NotImplementedError")


def _extends(thing: Any, base: type) -> bool:
    return isinstance(thing, type) and issubclass(thing, base)


def _is_coroutine_function(function: Callable) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with async __call__
    )


def _why_it_cannot_travel(name: str, error: CannotTravel) -> str:
    return (
        f"{name}() could not be sent to the process in which it is tried: {error}. It "
        "uses something from outside itself that can not be copied, such as an open "
        "client, a lock or a file. Make that inside the function."
    )
