"""Rewrite the lists of expected failures: ``python -m tests.spec oracle …``."""

import sys

from stratavm.module.wast_runner import run_script
from tests.conftest import find_spec_tests
from tests.spec.suite import HOSTS, observed, scripts, write_list


def main(tiers: list[str]) -> None:
    """Run everything on each tier and write down what failed."""
    directory = find_spec_tests()
    if directory is None:
        raise SystemExit("official test suite not found: set STRATA_SPEC_TESTS to its directory")
    for tier in tiers or sorted({name.partition("-")[0] for name in HOSTS}):
        reports = {name: run_script(directory / name, HOSTS[tier](), name=name) for name in scripts(directory)}
        print(write_list(tier, {name: observed(report) for name, report in reports.items()}))
        totals = [sum(getattr(r, kind) for r in reports.values()) for kind in ("passed", "failed", "skipped")]
        print("{} passed, {} failed, {} skipped".format(*totals))


if __name__ == "__main__":
    main(sys.argv[1:])
