"""``make fuzz``: seeds through generators and oracles, in a child process that may crash without taking the
campaign down.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from typing import Final

from tests.fuzz.campaign import CAMPAIGNS, run_seeds

BATCH: Final = 200
BATCH_SECONDS: Final = 300


def main() -> int:
    """Run each campaign for its share of the time; non-zero on any finding."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="time in all")
    parser.add_argument("--seed", type=int, default=1, help="first seed")
    parser.add_argument("--only", choices=tuple(CAMPAIGNS), help="one campaign")
    parser.add_argument("--batch", nargs=3, metavar=("CAMPAIGN", "FIRST", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.batch:
        name, first, count = options.batch
        return run_seeds(name, int(first), int(count))
    names = [options.only] if options.only else list(CAMPAIGNS)
    problems = 0
    for name in names:
        problems += _campaign(name, options.seed, options.seconds / len(names))
    return int(problems > 0)


def _campaign(name: str, seed: int, seconds: float) -> int:
    counts: Counter[str] = Counter()
    problems, end, first = 0, time.monotonic() + seconds, seed
    while time.monotonic() < end:
        command = [sys.executable, "-m", "tests.fuzz", "--batch", name, str(seed), str(BATCH)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=BATCH_SECONDS)
        except subprocess.TimeoutExpired as stop:
            print(f"{name}: HANG after {_last(stop.stdout)}", flush=True)
            problems += 1
        else:
            for line in result.stdout.splitlines():
                if line.startswith("count "):
                    _, what, number = line.split()
                    counts[what] += int(number)
                elif line.startswith("finding "):
                    print(f"{name}: {line}", flush=True)
                    problems += 1
            if result.returncode < 0 or (result.returncode and "finding" not in result.stdout):
                print(
                    f"{name}: CRASH {result.returncode} after {_last(result.stdout)}\n{result.stderr[-2000:]}",
                    flush=True,
                )
                problems += 1
        seed += BATCH
    print(f"{name}: seeds {first}..{seed - 1}: {dict(counts)}, {problems} findings", flush=True)
    return problems


def _last(text: str | bytes | None) -> str:
    lines = (text.decode() if isinstance(text, bytes) else text or "").splitlines()
    return lines[-1] if lines else "the start"


if __name__ == "__main__":
    sys.exit(main())
