#!/usr/bin/env python3
"""The one command of the Backend Communication Workbook.

    python3 workbook.py lab        open the notebooks
    python3 workbook.py doctor     see what this machine has
    python3 workbook.py --help     all the rest

It needs Python 3.11 and nothing else: the first call makes .venv beside this file
and installs requirements.txt into it, later calls find that done. A step that
fails ends in one line that says what to do, and a non-zero exit.
"""

import argparse
import contextlib
import hashlib
import json
import locale
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

# An older Python must get as far as this line: no newer syntax in this file.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "workbook: this is Python {}.{} and the workbook needs 3.11 or newer: "
        "install one from python.org, then call it by name, as in "
        "python3.12 workbook.py lab".format(*sys.version_info)
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
UV = "uv==0.13.9"  # installs everything in seconds where pip takes a minute

# nbval runs each notebook; a cell tagged nbval-check-output (every claim) must
# print what is stored. Its own time-out for a cell would be 2,000 s.
NBVAL = ["--nbval-lax", "--nbval-cell-timeout=60"]
# More workers than cores, for most tests wait more than they compute. How tests are
# spread over them says tests/conftest.py: a notebook's cells share a kernel.
PARALLEL = ["-n", "4"]

JUPYTERLAB_DEFAULTS = {
    # No pop-up that asks whether to fetch news.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
}


class Failed(Exception):
    """A step failed; the message is the one line that the user reads."""


# -- set-up ------------------------------------------------------------------------


class Venv:
    """The virtual environment of the workbook, made and kept in step by set_up().

    ``stamp`` tells what was installed. It is written last and removed first, so an
    environment without one was left half-made, and is made anew.
    """

    def __init__(self, folder: Path = VENV, requirements: Path | None = None) -> None:
        self.folder = folder
        self.requirements = requirements or ROOT / "requirements.txt"
        self.stamp = folder / "workbook-stamp.json"
        windows = os.name == "nt"
        self.scripts = folder / ("Scripts" if windows else "bin")
        self.python = self.scripts / ("python.exe" if windows else "python")

    def wanted(self) -> dict[str, str]:
        """What the stamp says when nothing is to be done."""
        return {
            "python": "{}.{}".format(*sys.version_info),
            "root": str(ROOT),  # scripts and the path file name it
            "requirements": hashlib.sha256(self.requirements.read_bytes()).hexdigest(),
        }

    def found(self) -> dict[str, str]:
        try:
            stamp = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return {}
        # The Python that it was made from may be gone, and the link dangling.
        return stamp if self.python.exists() and isinstance(stamp, dict) else {}

    def set_up(self) -> None:
        """Make what is missing. Raises Failed."""
        wanted, found = self.wanted(), self.found()
        if found == wanted:
            return
        if self.folder.is_symlink():  # to make it anew would empty somebody else's
            raise Failed(
                f"{self.folder.name} is a link to another folder. Remove the link, and "
                "try again"
            )
        began = time.monotonic()
        print("Setting up the workbook (only now, and when its packages change):")
        self.stamp.unlink(missing_ok=True)
        if any(found.get(key) != wanted[key] for key in ("python", "root")):
            self.make()
        self.install()
        self.put_root_on_path()
        silence_news(self.folder)
        self.trust_notebooks()
        self.try_it()
        self.stamp.write_text(json.dumps(wanted))
        print(f"Set up in {time.monotonic() - began:.0f} s.")

    def make(self) -> None:
        run_step(
            "making .venv",
            [sys.executable, "-m", "venv", "--clear", str(self.folder)],
            cure="On Debian and Ubuntu: sudo apt install python3-venv",
        )

    def install(self) -> None:
        """By uv, or by pip where uv has no wheel or does not get through.

        pip knows mirrors and certificates that were configured for pip only.
        """
        pip = [str(self.python), "-m", "pip", "install", "--only-binary=:all:"]
        count = len(self.requirements.read_text().splitlines())
        what = f"installing {count} packages"
        files = ["-r", str(self.requirements)]
        try:
            run_step("installing uv", [*pip, "--quiet", UV])
            uv = [str(self.scripts / "uv"), "pip", "install", "--compile-bytecode"]
            run_step(what, [*uv, "--python", str(self.python), *files])
        except Failed as error:
            print(f"  {error}\n  Trying again with pip, which takes a minute or two.")
            run_step(
                f"{what} with pip",
                [str(self.python), "-m", "pip", "install", "--quiet", *files],
                cure="Set-up needs the network: is this machine online?",
            )

    def put_root_on_path(self) -> None:
        """`import helpers` works from any folder, and in other editors too."""
        where = {"base": str(self.folder), "platbase": str(self.folder)}
        packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=where))
        # The site module reads path files in the encoding of the locale.
        encoding = locale.getencoding()
        (packages / "workbook.pth").write_text(f"{ROOT}\n", encoding=encoding)

    def trust_notebooks(self) -> None:
        """Or JupyterLab hides the stored drawings until their cells are run.

        One that can not be read is no reason to fail: JupyterLab says so better.
        """
        notebooks = map(str, sorted(ROOT.glob("notebooks/*.ipynb")))
        sign = [str(self.scripts / "jupyter-trust"), *notebooks]
        if len(sign) > 1:
            subprocess.run(sign, stdin=subprocess.DEVNULL, capture_output=True)

    def try_it(self) -> None:
        """Also has matplotlib list the fonts now, not before the first figure."""
        run_step(
            "trying it",
            [str(self.python), "-c", "import helpers, jupyterlab, matplotlib.pyplot"],
            cure="Remove the folder .venv and try again.",
        )

    def environment(self) -> dict[str, str]:
        """For child processes: programs of .venv come first, as after `activate`."""
        path = os.pathsep.join([str(self.scripts), os.environ.get("PATH", "")])
        return {**os.environ, "PATH": path, "VIRTUAL_ENV": str(self.folder)}

    def run(self, program: str, *arguments: str) -> int:
        """Run a program of .venv in ROOT; returns its exit code.

        Ctrl-C reaches the child too, for the terminal sends it to both; a SIGTERM
        is passed on. Either way the child is given time to end well.
        """
        argv = [str(self.scripts / program), *arguments]
        process = subprocess.Popen(argv, cwd=ROOT, env=self.environment())
        try:
            return process.wait()
        except (KeyboardInterrupt, SystemExit) as ending:
            if isinstance(ending, SystemExit):
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                process.wait(timeout=10)
            raise
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def silence_news(prefix: Path | str) -> None:
    """Set JupyterLab's defaults in this environment (Binder's postBuild, too)."""
    settings = Path(prefix) / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "overrides.json").write_text(json.dumps(JUPYTERLAB_DEFAULTS))


def run_step(title: str, argv: list[str], *, cure: str = "") -> None:
    """Run one step of the set-up quietly, with a line that shows it is alive.

    Raises Failed with the last thing that the program said, after all of it went
    to stderr.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process:
            try:
                while process.poll() is None:
                    show_progress(title, began)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=0.2)
            except (KeyboardInterrupt, SystemExit):
                process.terminate()
                raise
        show_progress(title, began, done=True)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
            print(said, file=sys.stderr)
            last = said.splitlines()[-1].strip() if said else "it said nothing"
            raise Failed(f"{title} failed: {last.rstrip('.')}. {cure}".strip())


def show_progress(title: str, began: float, *, done: bool = False) -> None:
    line = f"  {title} … {time.monotonic() - began:.1f} s"
    if sys.stdout.isatty():
        print(f"\r{line}", end="\n" if done else "", flush=True)
    elif done:
        print(line, flush=True)


# -- the commands ------------------------------------------------------------------


def lab(venv: Venv, options: argparse.Namespace) -> int:
    venv.set_up()
    arguments = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={ROOT}",
        "--ServerApp.answer_yes=True",  # one Ctrl-C stops it
        "--LabApp.default_url=/lab/tree/notebooks/00-start-here.ipynb",
        "--ServerApp.allow_root=True",  # who is root in a container knows it
        "--log-level=WARN",  # leaves the address, and what goes wrong
    ]
    if options.port is not None:
        # Who asks for a port wants that one or a clear no, not the next free one.
        arguments += [f"--port={options.port}", "--ServerApp.port_retries=0"]
    if options.no_browser:
        arguments.append("--no-browser")
    print("JupyterLab starts; Ctrl-C stops it.", flush=True)
    code = venv.run("jupyter-lab", *arguments)
    if code:
        raise Failed(f"JupyterLab ended with exit code {code}: see above")
    return 0


def test(venv: Venv, options: argparse.Namespace) -> int:
    venv.set_up()
    if options.quick:
        away = ["--ignore=tests/browser", "--ignore=tests/labs"]
        selection = ["tests", *PARALLEL, *away, *options.pytest]
    elif options.pytest:
        selection = options.pytest
    else:
        selection = ["notebooks", "labs", "tests", *PARALLEL]
    code = venv.run("pytest", *NBVAL, *selection)
    if code:
        raise Failed(f"the tests did not pass (pytest's exit code is {code})")
    return 0


def check(venv: Venv, options: argparse.Namespace) -> int:
    venv.set_up()
    checks = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "lint-imports": ["lint-imports", "--no-logo"],
    }
    failed = [name for name, argv in checks.items() if venv.run(*argv)]
    if failed:
        raise Failed(f"{' and '.join(failed)} found something: see above")
    return 0


def doctor(venv: Venv, options: argparse.Namespace) -> int:
    """A doctor also comes to those who are not well: it runs without .venv too."""
    try:
        venv.set_up()
    except Failed as error:
        print(f"workbook: {error}", file=sys.stderr)
        # An absolute path stays what it is.
        code = venv.run(sys.executable, "-m", "helpers.doctor")
    else:
        code = venv.run("python", "-m", "helpers.doctor")
    if code:
        raise Failed("something that the workbook needs is missing: see above")
    return 0


def bench(venv: Venv, options: argparse.Namespace) -> int:
    files = sorted((ROOT / "tests" / "benchmarks").glob("bench_*.py"))
    names = [file.stem.removeprefix("bench_") for file in files]
    if not names:
        raise Failed("there are no benchmarks yet (tests/benchmarks/bench_*.py)")
    if options.name and options.name not in names:
        there = ", ".join(names)
        raise Failed(f"there is no benchmark {options.name!r}, but there are: {there}")
    venv.set_up()
    for name in [options.name] if options.name else names:
        print(f"== {name} ==", flush=True)
        module = f"tests.benchmarks.bench_{name}"
        if venv.run("python", "-c", f"import sys, {module} as b; sys.exit(b.main())"):
            raise Failed(f"the benchmark {name} failed: see above")
    return 0


def refresh(venv: Venv, options: argparse.Namespace) -> int:
    venv.set_up()
    notebooks = [str(path.resolve()) for path in options.notebooks]
    if venv.run("python", "-m", "helpers.authoring", "refresh", *notebooks):
        raise Failed("not every notebook could be refreshed: see above")
    return 0


def badges(venv: Venv, options: argparse.Namespace) -> int:
    venv.set_up()
    if venv.run("python", "-m", "helpers.authoring", "badges"):
        raise Failed("the badges could not be written: see above")
    return 0


# -- the command line --------------------------------------------------------------


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbook.py",
        description="The Backend Communication Workbook. Each command first sets up "
        ".venv when that is not done yet.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(function, text):
        command = commands.add_parser(function.__name__, help=text, description=text)
        command.set_defaults(function=function)
        return command

    command = add(lab, "Open the notebooks in JupyterLab, on this machine only.")
    command.add_argument(
        "--no-browser", action="store_true", help="print the address instead"
    )
    command.add_argument("--port", type=int, help="the port (default: a free one)")

    command = add(
        test, "Run every test: of the helpers, the notebooks, the labs, in a browser."
    )
    command.add_argument(
        "--quick", action="store_true", help="no notebooks, no labs, no browser"
    )
    command.add_argument(
        "pytest", nargs="*", help="what to run instead, in the words of pytest"
    )

    add(check, "Check style and imports: ruff, and import-linter for the layers.")
    add(doctor, "Tell what this machine has, and the cure for what it lacks.")

    command = add(bench, "Measure the workbook's own servers against others.")
    command.add_argument("name", nargs="?", help="one benchmark (default: all)")

    command = add(refresh, "Run notebooks and store their outputs, for authors.")
    command.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")

    add(badges, "Write the address in pyproject.toml into every Binder badge.")
    return parser


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options that we do not know are pytest's, after `test`; errors elsewhere."""
    parser = make_parser()
    options, others = parser.parse_known_args(arguments)
    if options.function is test:
        # In the order given: `-k upload` is one thing to pytest.
        options.pytest = [a for a in arguments[1:] if a != "--quick"]
    elif others:
        parser.error(f"unknown: {' '.join(others)}")
    return options


def end_on_sigterm(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, end_on_sigterm)
    options = parse(arguments)
    try:
        return options.function(Venv(), options)
    except Failed as error:
        print(f"workbook: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"workbook: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nworkbook: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
