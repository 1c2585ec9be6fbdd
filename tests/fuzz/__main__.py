"""``make fuzz``: seeds through generators and oracles, in child processes that may crash without taking the run down.

As many children work at once as there are processors. Each runs all campaigns, under one of ``ENVIRONMENTS``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from tests.fuzz.campaign import CAMPAIGNS, run_seeds, run_shares

ENVIRONMENTS: Final[tuple[tuple[float, dict[str, str]], ...]] = (
    (0.40, {}),
    (0.25, {"STRATA_POLL": "always"}),
    (0.15, {"STRATA_REGS": "4", "STRATA_POISON": "1"}),
    (0.10, {"STRATA_CHECK": "2"}),
    (0.10, {"STRATA_CHECK": "2", "STRATA_HELPERS": "1"}),
)
"""Share of the time, and what the environment switches on: every poll taken, few registers and garbage in the dead
ones, every form and every allocation verified; functions compiled at their calls and ahead of them, and compared."""
START: Final = "the start"
HANG_SECONDS: Final = 60
"""No seed takes so long."""
SEEDS_PER_CHILD: Final = 100_000


@dataclass
class Report:
    """What the children said."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def read(self, output: str, switched: str) -> None:
        """Counts and findings of a child."""
        for line in output.splitlines():
            if line.startswith("count "):
                _, name, what, number = line.split()
                self.counts[f"{name} {what}"] += int(number)
            elif line.startswith("finding "):
                self.problem(f"{line}{switched}")

    def problem(self, text: str) -> None:
        """Something is wrong: say so at once."""
        self.problems.append(text)
        print(text, flush=True)


def main() -> int:
    """Run all campaigns for the time; non-zero on any finding."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="time in all")
    parser.add_argument("--seed", type=int, default=1, help="first seed")
    parser.add_argument("--only", choices=tuple(CAMPAIGNS), help="one campaign")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes at once")
    parser.add_argument(
        "--batch", nargs=3, metavar=("CAMPAIGN", "FIRST", "COUNT"), help="run these seeds in this process"
    )
    parser.add_argument("--child", nargs=2, metavar=("FIRST", "END"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = [options.only] if options.only else list(CAMPAIGNS)
    if options.batch:
        name, first, number = options.batch
        return run_seeds(name, int(first), int(number))
    if options.child:
        return run_shares(names, int(options.child[0]), float(options.child[1]))
    report, firsts, begin, used = Report(), count(options.seed, SEEDS_PER_CHILD), time.monotonic(), processor_seconds()
    with ThreadPoolExecutor(options.jobs) as pool:
        plans = schedule(options.jobs, options.seconds)
        for job in [pool.submit(work, names, firsts, plan, report) for plan in plans]:
            job.result()
    seconds, used = time.monotonic() - begin, processor_seconds() - used
    for what, number in sorted(report.counts.items()):
        print(f"{what}: {number}")
    ran = sum(report.counts[f"{name} ran"] for name in ("tiers", "body-tiers", "fuel", "programs"))
    print(
        f"{ran} modules on every variant: {60 * ran / seconds:.0f} a minute, {60 * ran / used:.0f} in a minute of one "
        f"processor; {options.jobs} processes, {seconds:.0f} s, {len(report.problems)} findings"
    )
    return int(bool(report.problems))


def processor_seconds() -> float:
    """Processor time of the children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


Plan = list[tuple[float, dict[str, str]]]
"""Seconds under each environment, one after another."""


def schedule(jobs: int, seconds: float) -> list[Plan]:
    """Lay the environments end to end over all processes, so that few children start: each pays a second first."""
    plans: list[Plan] = [[] for _ in range(jobs)]
    at = 0.0
    for share, switches in ENVIRONMENTS:
        left = share * jobs
        while left > 1e-6:
            job = min(int(at + 1e-6), jobs - 1)
            part = min(left, job + 1 - at)
            plans[job].append((part * seconds, switches))
            at, left = at + part, left - part
    return plans


def work(names: list[str], firsts: count[int], plan: Plan, report: Report) -> None:
    """One child after another; where one crashes, the next goes on with other seeds."""
    for seconds, switches in plan:
        switched = "".join(f" {key}={value}" for key, value in switches.items())
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            only = ["--only", names[0]] if len(names) == 1 else []
            command = [sys.executable, "-m", "tests.fuzz", *only, "--child", str(next(firsts)), str(end)]
            environment = {**os.environ, **switches}
            try:
                result = subprocess.run(
                    command, capture_output=True, text=True, timeout=left + HANG_SECONDS, env=environment
                )
            except subprocess.TimeoutExpired as stop:
                report.problem(f"HANG after {_last(stop.stdout)}{switched}")
                continue
            report.read(result.stdout, switched)
            if result.returncode < 0 or (result.returncode and "finding" not in result.stdout):
                last = _last(result.stdout)
                report.problem(f"CRASH {result.returncode} after {last}{switched}\n{result.stderr[-2000:]}")
                if last == START:
                    return  # it does not start at all: so would the next


def _last(text: str | bytes | None) -> str:
    lines = (text.decode() if isinstance(text, bytes) else text or "").splitlines()
    return next((line for line in reversed(lines) if line.startswith("seed ")), START)


if __name__ == "__main__":
    sys.exit(main())
