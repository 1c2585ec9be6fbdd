"""What may fail in the official suite: a file per tier that names the missing proposals.

A line is ``script failures proposal…``. The list is strict: another number of failures, or another set of proposals,
fails the test, so that the list shrinks with every proposal. ``python -m tests.spec TIER`` rewrites it, and `make gen`
makes of it what README says. Nothing here needs a build.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

LISTS: Final = Path(__file__).parents[1] / "expected_failures"
HEAD: Final = """\
# Of {scripts} scripts of the official suite ({assertions} assertions), {tier} does not pass these: failed assertions,
# missing proposals.
# Strict: see tests/spec/lists.py. Rewritten by: python -m tests.spec {tier}
"""


class Expected(NamedTuple):
    """What may fail in a script, and for want of which proposals."""

    failures: int = 0
    proposals: tuple[str, ...] = ()


def list_of(tier: str) -> Path:
    """The file with a tier's list."""
    return LISTS / f"{tier.partition('-')[0]}.txt"


def expected_failures(tier: str) -> dict[str, Expected]:
    """The list of a tier by script."""
    expected = {}
    for line in list_of(tier).read_text().splitlines():
        if line and not line.startswith("#"):
            script, failures, *proposals = line.split()
            expected[script] = Expected(int(failures), tuple(proposals))
    return expected


def suite_size(tier: str) -> tuple[int, int]:
    """How many scripts, and assertions in them, the suite had that the list was made with."""
    found = re.match(r"# Of (\d+) scripts of the official suite \((\d+) assertions\)", list_of(tier).read_text())
    assert found is not None, tier
    return int(found[1]), int(found[2])


def write_list(tier: str, found: dict[str, Expected], assertions: int) -> Path:
    """Replace the list of a tier by what was found in each script of the suite, of so many assertions in all."""
    lines = [f"{script} {e.failures} {' '.join(e.proposals)}\n" for script, e in sorted(found.items()) if e.failures]
    path = list_of(tier)
    path.write_text(HEAD.format(scripts=len(found), assertions=assertions, tier=tier) + "".join(lines))
    return path
