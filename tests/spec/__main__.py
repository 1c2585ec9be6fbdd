"""Rewrite the lists of expected failures: ``python -m tests.spec oracle …``; ``--compare`` compares with them."""

import sys

from tests.conftest import find_spec_tests
from tests.spec.lists import Expected, expected_failures, suite_size, write_list
from tests.spec.suite import HOSTS, format_report, observed, run, scripts


def main(arguments: list[str]) -> None:
    """Run everything on each tier and write down what failed, or say what failed otherwise than written."""
    directory = find_spec_tests()
    if directory is None:
        raise SystemExit("official test suite not found: set STRATA_SPEC_TESTS to its directory")
    comparing, tiers = "--compare" in arguments, [a for a in arguments if not a.startswith("-")]
    for tier in tiers or sorted({name.partition("-")[0] for name in HOSTS}):
        reports = {name: run(directory, name, tier) for name in scripts(directory)}
        found = {name: observed(report) for name, report in reports.items()}
        totals = [sum(getattr(r, kind) for r in reports.values()) for kind in ("passed", "failed", "skipped")]
        assertions = totals[0] + totals[1]
        if comparing:
            expected = expected_failures(tier)
            if wrong := [name for name in found if found[name] != expected.get(name, Expected())]:
                print(*(format_report(reports[name]) for name in wrong), sep="\n")
                raise SystemExit(f"{tier} differs from its list in {', '.join(wrong)}")
            if assertions != suite_size(tier)[1]:
                raise SystemExit(
                    f"{tier}: the suite has {assertions} assertions, the list was made with another number"
                )
        else:
            print(write_list(tier, found, assertions))
        print("{} passed, {} failed, {} skipped".format(*totals))


if __name__ == "__main__":
    main(sys.argv[1:])
