"""``make litmus``: every test in every way, a million times; and how often the control shows what is forbidden."""

from __future__ import annotations

import argparse
import sys
import time

from tests.litmus.running import run
from tests.litmus.shapes import LITMUS, PLAIN, SHAPES, WAYS


def main() -> int:
    """Run what was asked for; the exit status says whether nothing forbidden was seen."""
    parser = argparse.ArgumentParser(prog="make litmus", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="of each test in each way")
    parser.add_argument("--only", choices=tuple(SHAPES))
    parser.add_argument("--way", choices=[way.name for way in WAYS])
    parser.add_argument("--tier", default="jit1")
    options = parser.parse_args()
    failed = 0
    for litmus in LITMUS:
        if options.only not in (None, litmus.name):
            continue
        for way in WAYS:
            if options.way in (None, way.name):
                begin = time.monotonic()
                found = run(litmus, way, options.runs, options.tier)
                failed += bool(found.forbidden)
                verdict = "FAIL" if found.forbidden else "ok  "
                print(f"{verdict} {found}, {time.monotonic() - begin:.1f} s", flush=True)
        print(f"     control: {run(litmus, PLAIN, options.runs, options.tier)}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
