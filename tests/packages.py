"""Long checks of repositories of plugins, of which the short forms are among the unit tests.

``python -m tests.packages --mutants 5000 --rounds 50 --seed 1``: packages with random changes, before they are signed
or after, are refused by an error of the room or right; a writer is killed at each call that writes, of each action, and
leaves what was there before or what was to be; processes install, collect, load and verify at once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.unit.plugins.repository import crashing
from tests.unit.plugins.repository.shelves import Shelf
from tests.unit.plugins.repository.test_mutated import campaign

ROOT: Final = Path(__file__).parents[1]
A_BATCH: Final = 250
"""Mutants of one repository: what is taken of them stays in it, and each look is at all of it."""


def forked(action: str, folder: Path, seed: int) -> str:
    """What an action of ``crashing`` says, in a process of its own.

    Raises:
        subprocess.CalledProcessError: it failed, and said why.
    """
    command = [sys.executable, "-X", "faulthandler", "-m", crashing.__name__, action, str(folder), str(seed)]
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


def mutants(count: int, seed: int, folder: Path) -> str:
    """Packages with a random change."""
    taken = 0
    for first in range(0, count, A_BATCH):
        shelf = Shelf(folder / str(first))
        taken += campaign(shelf, seed + first, min(A_BATCH, count - first))
        shelf.repository.close()
    return f"{count} packages, {taken} of them right, the others refused"


def kills(count: int, seed: int, folder: Path) -> str:
    """A writer that is killed at each call."""
    found = 0
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        found += sum(int(line.rpartition(" ")[2]) for line in forked("kill", place, seed).splitlines())
    return f"{found} kills in {count} rounds"


def together(count: int, seed: int, folder: Path) -> str:
    """Three processes at once."""
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        forked("together", place, seed + number)
    return f"{count} rounds of three processes"


CHECKS: Final[dict[str, tuple[Callable[[int, int, Path], str], str]]] = {
    "mutants": (mutants, "mutants"),
    "kills": (kills, "kills"),
    "together": (together, "rounds"),
}


def main() -> int:
    """All of them; the first that fails ends it."""
    os.fsync = os.fstat  # type: ignore[assignment]  # nothing here loses its power, and disks are slow
    parser = argparse.ArgumentParser(prog="make packages", description=__doc__)
    parser.add_argument("--mutants", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=3, metavar="ROUNDS")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=tuple(CHECKS))
    options = parser.parse_args()
    for name in (options.only,) if options.only else CHECKS:
        check, count = CHECKS[name]
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            said = check(getattr(options, count), options.seed, Path(folder))
        print(f"ok   {name:10} {said}, from seed {options.seed}, {time.monotonic() - begin:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
