"""The longer programs in every way that sandboxed Python has to run one: ``make programs``
(``python -m tests.programs.ways``); a short form is in ``make test``.

Each of the scripts has to print, to the last digit, what it prints on wasmtime (``tests/programs/pythons.py`` makes
that): by the guest's own ``run``, in a clone of a snapshot, in one of a warm snapshot, in the second turn of a session
and in a fork of that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

from stratavm.sandbox import Python, PythonCompleted
from tests.programs.pythons import HERE, LANGUAGE, MODULE, SCIENCE, SCRIPTS, Guest, library
from tools import programs

WARM: Final = "import numpy, pandas, scipy.stats, sklearn, matplotlib"
TIMEOUT_S: Final = 900


class Another(AssertionError):
    """A program printed something else."""


class Ways:
    """Where scripts run."""

    def __init__(self, folder: Path) -> None:
        module = programs.find(MODULE)
        if module is None:
            raise RuntimeError(f"{MODULE} is not installed: `make venv`")
        self.module, self.folder = module, folder
        self.python = Python()
        self.all: dict[str, Callable[[str], None]] = {
            "run": self.by_run,
            "clone": lambda script: check(script, "clone", self.python.run(code(script), timeout=TIMEOUT_S)),
            "warm": lambda script: check(script, "warm", self.warm.run(code(script), timeout=TIMEOUT_S)),
            "session and fork": self.in_a_session,
        }

    @cached_property
    def warm(self) -> Python:
        """Where the packages are loaded."""
        return self.python.warm(WARM, timeout=TIMEOUT_S)

    @cached_property
    def folders(self) -> dict[str, str]:
        """What the guest's own ``run`` is given."""
        return library(self.module, self.folder)

    def by_run(self, script: str) -> None:
        """The guest's export."""
        with tempfile.TemporaryDirectory(dir=self.folder) as temporary:
            guest = Guest(self.module, self.folders, Path(temporary), (f"/scripts/{script}.py",))
            ended, said = guest.run(), guest.output.decode()
        compare(script, "run", said, f"{ended} {guest.errors.decode()[-2000:]}" if ended else "")

    def in_a_session(self, script: str) -> None:
        """Its second turn, and in what was forked before that."""
        with self.warm.session() as session:
            session.run("before = 1")
            with session.fork() as fork:
                for name, each in (("session", session), ("fork", fork)):
                    check(script, name, each.run(code(script), timeout=TIMEOUT_S))


def code(script: str) -> str:
    """Its text."""
    return (HERE / f"{script}.py").read_text()


def check(script: str, way: str, done: PythonCompleted) -> None:
    """A run's result."""
    wrong = "" if done.error is None and done.code == 0 else f"{done.reason} {done.code}: {done.stderr[-2000:]}"
    if done.faults or done.truncated:
        wrong = f"{done.faults} faults, truncated: {done.truncated}"
    compare(script, way, done.stdout, wrong)


def compare(script: str, way: str, said: str, wrong: str) -> None:
    """Every character.

    Raises:
        Another: it is not what wasmtime has.
    """
    wanted = (HERE / f"{script}.txt").read_bytes().decode()
    if wrong or said != wanted:
        pairs = zip([*said.splitlines(), ""], [*wanted.splitlines(), ""], strict=False)
        first = next((f"line {n}: {a!r:.300}, expected {b!r:.300}" for n, (a, b) in enumerate(pairs, 1) if a != b), "")
        raise Another(f"{script}, {way}: {wrong} {first}")


def rounds(scripts: Iterable[str], ways: Iterable[str]) -> int:
    """Each of the scripts in each of the ways: how many that were."""
    number = 0
    with tempfile.TemporaryDirectory() as folder:
        made = Ways(Path(folder))
        for script in scripts:
            begin = time.monotonic()
            for way in ways:
                made.all[way](script)
                number += 1
            print(f"{script}: equal, {time.monotonic() - begin:.1f} s", flush=True)
    return number


def main() -> int:
    """All of them; the first that differs ends it."""
    parser = argparse.ArgumentParser(prog="make programs", description=__doc__)
    parser.add_argument("scripts", nargs="*", default=[*SCRIPTS, *LANGUAGE, *SCIENCE])
    parser.add_argument("--ways", nargs="*", default=["run", "clone", "warm", "session and fork"])
    options = parser.parse_args()
    begin = time.monotonic()
    number = rounds(options.scripts, options.ways)
    print(f"{len(options.scripts)} programs, {number} runs, all equal, {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
