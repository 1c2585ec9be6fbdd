"""Generated modules of objects by the thousand, on machines of ours and another engine: ``python -m tests.objects``.

Seeds come in batches, each in a process of its own, plainly first, then where each allocation collects and what is
freed is spoiled. A log has what was done: with it a run that was ended goes on where it was, on the same commit. Where
a process dies its seed is a finding, and the next process goes on behind it. Findings end the run with 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

BATCH: Final = 250
"""Seeds of a process."""
HANG_SECONDS: Final = 60
"""For each seed of a batch: none takes a tenth of it, on a busy machine, too."""
ENVIRONMENTS: Final[dict[str, dict[str, str]]] = {
    "plain": {},
    "harsh": {"STRATA_CHECK": "2", "STRATA_POISON": "1"},
}
COMMAND: Final = (sys.executable, "-m", "tests.fuzz", "--batch", "objects")
"""Takes the first seed and how many there are; says before each which it is, and what was counted at the end."""


class Batch(NamedTuple):
    """Seeds that one process runs."""

    environment: str
    first: int
    count: int

    def __str__(self) -> str:
        return " ".join(map(str, self))


class Outcome(NamedTuple):
    """What became of a batch."""

    counts: Counter[str]
    findings: list[str]


def batches(first: int, plain: int, harsh: int) -> Iterator[Batch]:
    """So many seeds from the first on in each environment, one after another."""
    for environment, number in (("plain", plain), ("harsh", harsh)):
        for at in range(0, number, BATCH):
            yield Batch(environment, first + at, min(BATCH, number - at))
        first += number


def run(batch: Batch, command: Iterable[str] = COMMAND) -> Outcome:
    """Run its seeds, and behind one that ends the process, the others."""
    counts, findings, at, end = Counter[str](), list[str](), batch.first, batch.first + batch.count
    environment = {**os.environ, **ENVIRONMENTS[batch.environment]}
    while at < end:
        here = [*command, str(at), str(end - at)]
        try:
            done = subprocess.run(
                here, capture_output=True, text=True, env=environment, timeout=HANG_SECONDS * (end - at), check=False
            )
            output, how, errors = done.stdout, done.returncode, done.stderr
        except subprocess.TimeoutExpired as stop:
            said = stop.stdout or b""
            output, how, errors = said.decode() if isinstance(said, bytes) else said, -9, "it did not end"
        counts.update({what: int(number) for what, number in re.findall(r"^count \S+ (\S+) (\d+)$", output, re.M)})
        told = [f"{line} ({batch.environment})" for line in output.splitlines() if line.startswith("finding ")]
        findings += told
        if how == 0 or (how > 0 and told):
            break
        seeds = re.findall(r"^seed \S+ (\d+)$", output, re.M)
        where = f"seed {seeds[-1]}" if seeds else "the start"
        findings.append(f"finding: the process ended with {how} at {where} ({batch.environment}): {errors[-2000:]}")
        if not seeds:
            break  # it does not start at all: so would the next
        counts["ended"] += 1
        at = int(seeds[-1]) + 1
    return Outcome(counts, findings)


def remembered(log: Path | None, commit: str) -> dict[str, Counter[str]]:
    """Batches without findings that a log says were done on a commit, and what was counted."""
    lines = log.read_text().splitlines() if log and log.exists() else []
    found = [re.fullmatch(r"done (\S+) (\S+ \d+ \d+):(.*)", line) for line in lines]
    return {
        line[2]: Counter({what: int(n) for what, n in (pair.split("=") for pair in line[3].split())})
        for line in found
        if line and line[1] == commit
    }


def campaign(
    todo: Iterable[Batch], jobs: int, log: Path | None, commit: str, command: Iterable[str] = COMMAND
) -> Outcome:
    """Run batches that a log does not have, so many at once, and say what came of all."""
    known, whole, findings = remembered(log, commit), Counter[str](), list[str]()
    todo = list(todo)
    for batch in todo:
        whole.update(known.get(str(batch), {}))
    left = [batch for batch in todo if str(batch) not in known]
    with ThreadPoolExecutor(jobs) as pool:
        for batch, (counts, told) in zip(left, pool.map(lambda b: run(b, command), left), strict=True):
            whole.update(counts)
            findings += told
            summed = " ".join(f"{what}={number}" for what, number in sorted(counts.items()))
            lines = told or [f"done {commit} {batch}: {summed}"]
            print(*lines, sep="\n", flush=True)
            if log:
                with log.open("a") as file:
                    file.writelines(f"{line}\n" for line in lines)
    return Outcome(whole, findings)


def head() -> str:
    """The commit whose code runs; with a mark where files were changed since."""
    command = ["git", "describe", "--always", "--dirty=-changed", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def main() -> int:
    """Run the seeds; 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="make objects", description=__doc__)
    parser.add_argument("--first", type=int, default=1, help="first seed (1)")
    parser.add_argument("--plain", type=int, default=15_000, help="seeds without switches (15,000)")
    parser.add_argument("--harsh", type=int, default=5000, help="behind them, with STRATA_CHECK=2, STRATA_POISON=1")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (2)")
    parser.add_argument("--log", type=Path, help="what is done is written there, and is not done again")
    options = parser.parse_args()
    commit = head()
    seeds = batches(options.first, options.plain, options.harsh)
    counts, findings = campaign(seeds, options.jobs, options.log, commit)
    summed = ", ".join(f"{what} {number}" for what, number in sorted(counts.items()))
    print(f"{commit}: {sum(counts.values())} modules from seed {options.first} on: {summed}; {len(findings)} findings")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
