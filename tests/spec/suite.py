"""Which scripts run on which tier, and what was seen to fail there. What may fail is said in ``lists``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stratavm.engine.config import Config
from stratavm.engine.script import EngineHost
from stratavm.module.wast_runner import Report, WastHost
from stratavm.runtime.limits import MemorySlots
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds
from tests.fuzz.whims import Whims
from tests.oracle.wast import OracleHost
from tests.spec.lists import Expected

SLOTS: Final = MemorySlots(32, when_exhausted="map")
HOSTS: Final[dict[str, Callable[[], WastHost]]] = {
    "oracle": lambda: EngineHost(Config(tier="oracle")),
    "oracle-reference": OracleHost,
    "jit0": lambda: EngineHost(Config(tier="jit0", strict=True)),
    "jit0-naive": lambda: EngineHost(Config(tier="jit0", strict=True, allocator="naive")),
    "jit0-bounded": lambda: EngineHost(Config(tier="jit0", strict=True, memory_plan="bounded")),
    "jit0-pooled": lambda: EngineHost(Config(tier="jit0", strict=True, memory_slots=SLOTS, memory_images="always")),
    "jit1": lambda: EngineHost(Config(tier="jit1", strict=True)),
    "jit1-naive": lambda: EngineHost(Config(tier="jit1", strict=True, allocator="naive")),
    "jit1-lifted-at-once": lambda: EngineHost(Config(tier="auto", lift_after=0)),
    "jit1-lifted": lambda: EngineHost(Config(tier="auto", lift_after=1)),
    "jit1-lifted-beside": lambda: EngineHost(Config(tier="auto", threads=2), {Policy: Thresholds(1, 1)}),
    "jit1-lifted-anyhow": lambda: EngineHost(Config(tier="auto", threads=2), {Policy: Whims()}),
    "jit1-from-loops": lambda: EngineHost(Config(tier="auto"), {Policy: Thresholds(MOST_CALLS, ticks=False, polls=1)}),
    "jit1-from-later": lambda: EngineHost(Config(tier="auto"), {Policy: Thresholds(MOST_CALLS, ticks=False, polls=3)}),
    "jit1-bounded": lambda: EngineHost(Config(tier="jit1", strict=True, memory_plan="bounded")),
}
"""Tier → a fresh host for one script. What follows a dash is a variant with the same list: ``oracle-reference`` is the
oracle over its own state in plain Python, where no native code takes part."""

MISSING = re.compile(r"unsupported \(([\w-]+)\)")
FOLDER = re.compile(r"proposals/([\w-]+)/")


def scripts(directory: Path) -> list[str]:
    """Every script of the suite, the folders of proposals included, by relative path."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.wast"))


def observed(report: Report) -> Expected:
    """What did fail. A script in the folder of a proposal needs it, even where no error says so."""
    proposals = {name for failure in report.failures for name in MISSING.findall(failure.found)}
    if report.failed and (folder := FOLDER.match(report.name)):
        proposals.add(folder[1])
    return Expected(report.failed, tuple(sorted(proposals)))


def format_report(report: Report, limit: int = 50) -> str:
    """Failures, one a line, then exactly ``N passed, N failed, N skipped``."""
    where = f"{report.name}:" if report.name else ""
    lines = [f"{where}{failure}" for failure in report.failures[:limit]]
    if len(report.failures) > limit:
        lines.append(f"{where} {len(report.failures) - limit} more failures")
    lines += [f"{where}{w} (warning: other words)" for w in report.warnings[:limit]]
    lines.append(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return "\n".join(lines)
