"""``make torture``: every scenario in a process of its own, so that a crash is a failure like any other."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.torture.scenarios import SCENARIOS, run

ROOT = Path(__file__).parents[2]


def in_child(name: str, seed: int, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a scenario in a fresh interpreter, with faulthandler's report where it crashes."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.torture", "--here", name]
    command += ["--seed", str(seed), "--seconds", str(seconds)]
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=seconds * 5 + 100)


def main() -> int:
    """Run what was asked for; the exit status says whether everything held."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="in all")
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF)
    parser.add_argument("--only", choices=tuple(SCENARIOS))
    parser.add_argument("--here", choices=tuple(SCENARIOS), help="run one scenario in this process")
    options = parser.parse_args()
    if options.here:
        print(run(options.here, options.seed, options.seconds), "rounds")
        return 0
    names = [options.only] if options.only else list(SCENARIOS)
    failed = 0
    for name in names:
        done = in_child(name, options.seed, options.seconds / len(names))
        print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {name:20} {done.stdout.strip()}", flush=True)
        if done.returncode:
            failed += 1
            print(f"     exit status {done.returncode}, --seed {options.seed}\n{done.stderr}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
