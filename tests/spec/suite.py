"""Which scripts run on which tier, and what may fail: a file per tier that names the missing proposals.

A line is ``script failures proposal…``. The list is strict: another number of failures, or another set of proposals,
fails the test, so that the list shrinks with every proposal. ``python -m tests.spec TIER`` rewrites it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from stratavm.engine.config import Config
from stratavm.engine.script import EngineHost
from stratavm.module.wast_runner import Report, WastHost
from stratavm.runtime.limits import PoolConfig
from stratavm.tiers.oracle.wast import OracleHost

LISTS: Final = Path(__file__).parents[1] / "expected_failures"
POOL: Final = PoolConfig(32, when_exhausted="map")
HOSTS: Final[dict[str, Callable[[], WastHost]]] = {
    "oracle": lambda: EngineHost(Config(tier="oracle")),
    "oracle-reference": OracleHost,
    "jit0": lambda: EngineHost(Config(strict=True)),
    "jit0-naive": lambda: EngineHost(Config(strict=True, allocator="naive")),
    "jit0-bounded": lambda: EngineHost(Config(strict=True, memory_plan="bounded")),
    "jit0-pooled": lambda: EngineHost(Config(strict=True, pool=POOL, memory_images="always")),
    "jit1": lambda: EngineHost(Config(tier="jit1", strict=True)),
    "jit1-naive": lambda: EngineHost(Config(tier="jit1", strict=True, allocator="naive")),
    "jit1-bounded": lambda: EngineHost(Config(tier="jit1", strict=True, memory_plan="bounded")),
}
"""Tier → a fresh host for one script. What follows a dash is a variant with the same list: ``oracle-reference`` is the
oracle over its own state in plain Python, where no native code takes part."""

MISSING = re.compile(r"unsupported \(([\w-]+)\)")
FOLDER = re.compile(r"proposals/([\w-]+)/")


def scripts(directory: Path) -> list[str]:
    """Every script of the suite, the folders of proposals included, by relative path."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.wast"))


class Expected(NamedTuple):
    """What may fail in a script, and for want of which proposals."""

    failures: int = 0
    proposals: tuple[str, ...] = ()


def observed(report: Report) -> Expected:
    """What did fail. A script in the folder of a proposal needs it, even where no error says so."""
    proposals = {name for failure in report.failures for name in MISSING.findall(failure.found)}
    if report.failed and (folder := FOLDER.match(report.name)):
        proposals.add(folder[1])
    return Expected(report.failed, tuple(sorted(proposals)))


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


def write_list(tier: str, found: dict[str, Expected]) -> Path:
    """Replace the list of a tier."""
    lines = [
        f"# Scripts of the official suite that {tier} does not pass as a whole: failed assertions, missing proposals.",
        f"# Strict: see tests/spec/suite.py. Rewritten by: python -m tests.spec {tier}",
        *(f"{script} {e.failures} {' '.join(e.proposals)}" for script, e in sorted(found.items()) if e.failures),
    ]
    path = list_of(tier)
    path.write_text("\n".join(lines) + "\n")
    return path
