"""Which scripts run on which tier, and what was seen to fail there. What may fail is said in ``lists``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from stratavm.engine.config import Config
from stratavm.engine.script import EngineHost
from stratavm.module.features import ALL, DEFAULT
from stratavm.module.wast import Command, ModuleText, parse_script
from stratavm.module.wast_runner import Report, WastHost, run_commands
from stratavm.runtime.limits import MemorySlots
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds
from tests.fuzz.whims import Whims
from tests.oracle.wast import OracleHost
from tests.spec.lists import Expected

SLOTS: Final = MemorySlots(32, when_exhausted="map")
Host = Callable[[frozenset[str]], WastHost]


def _engine(thresholds: Policy | None = None, **options: Any) -> Host:
    """Fresh engines with these options, and a policy of their own."""
    services = None if thresholds is None else {Policy: thresholds}
    return lambda features: EngineHost(Config(features=features, **options), services)


HOSTS: Final[dict[str, Host]] = {
    "oracle": _engine(tier="oracle"),
    "oracle-reference": lambda features: OracleHost(features=features),
    "jit0": _engine(tier="jit0", strict=True),
    "jit0-naive": _engine(tier="jit0", strict=True, allocator="naive"),
    "jit0-bounded": _engine(tier="jit0", strict=True, memory_plan="bounded"),
    "jit0-pooled": _engine(tier="jit0", strict=True, memory_slots=SLOTS, memory_images="always"),
    "jit1": _engine(tier="jit1", strict=True),
    "jit1-naive": _engine(tier="jit1", strict=True, allocator="naive"),
    "jit1-lifted-at-once": _engine(tier="auto", lift_after=0),
    "jit1-lifted": _engine(tier="auto", lift_after=1),
    "jit1-lifted-beside": _engine(Thresholds(1, 1), tier="auto", threads=2),
    "jit1-lifted-anyhow": lambda features: _engine(Whims(), tier="auto", threads=2)(features),
    "jit1-from-loops": _engine(Thresholds(MOST_CALLS, ticks=False, polls=1), tier="auto"),
    "jit1-from-later": _engine(Thresholds(MOST_CALLS, ticks=False, polls=3), tier="auto"),
    "jit1-bounded": _engine(tier="jit1", strict=True, memory_plan="bounded"),
    "auto": _engine(),
    "auto-bounded": _engine(memory_plan="bounded"),
}
"""Tier → a fresh host for one script, which may use some proposals. What follows a dash is a variant with the same
list: ``oracle-reference`` is the oracle over its own state in plain Python, where no native code takes part. ``auto``
is what one has who asks for no tier."""

OUTDATED: Final = {
    "proposals/threads/imports.wast": frozenset({309, 313, 317, 404, 408, 412}),
    "proposals/threads/memory.wast": frozenset({14, 15, 83, 87, 91}),
}
"""Assertions, by their lines, that WebAssembly 3.0 says the opposite of: that several tables and several memories are
invalid, and that limits beyond 32 bits are malformed. The proposal's scripts are those of an earlier version."""

ASSERTION: Final = re.compile(rb'"(?:[^"\\\n]|\\.)*"|;;[^\n]*|\(;.*?;\)|\(assert_[a-z_]+', re.S)
"""Strings and comments, where no assertion is one, and assertions."""
MISSING = re.compile(r"unsupported \(([\w-]+)\)")
FOLDER = re.compile(r"proposals/([\w-]+)/")


def host(tier: str, script: str) -> WastHost:
    """A fresh host for a script of the suite, by relative path: what a folder is named after is asked for there."""
    folder = FOLDER.match(script)
    asked = {folder[1]} & ALL if folder else frozenset()
    return HOSTS[tier](DEFAULT | asked)


def scripts(directory: Path) -> list[str]:
    """Every script of the suite, the folders of proposals included, by relative path."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.wast"))


@functools.lru_cache(maxsize=1)
def assertions(path: Path) -> int:
    """How many assertions a script has, by its text alone: those that our own parser would pass by, too."""
    return sum(found[0].startswith(b"(assert_") for found in ASSERTION.finditer(path.read_bytes()))


@functools.lru_cache(maxsize=1)
def commands(path: Path, shorter: bool) -> tuple[Command, ...]:
    """The commands of a script, read once for all tiers; ``shorter``: a tenth of the million tail calls in a row."""
    text = path.read_bytes()
    if shorter:
        text = text.replace(b"1_000_00", b"100_00").replace(b"999_999", b"99_999")
    return tuple(replace(c, module=c.module and _parsed_once(c.module)) for c in parse_script(text))


def _parsed_once(module: ModuleText) -> ModuleText:
    """The module, whose text is parsed for the first tier that asks."""

    @functools.cache
    def outcome() -> bytes | Exception:
        try:
            return module.parse()
        except Exception as error:
            return error

    def parse() -> bytes:
        found = outcome()
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found

    return replace(module, parse=parse)


def run(directory: Path, script: str, tier: str) -> Report:
    """What a script does on a tier. The oracle, which needs microseconds for a call, makes fewer of a million."""
    report = Report(script)
    shorter = tier.startswith("oracle") and script.startswith("return_call")
    outdated = OUTDATED.get(script, frozenset())
    wanted = [c for c in commands(directory / script, shorter) if c.line not in outdated]
    assert len(wanted) + len(outdated) == len(commands(directory / script, shorter)), f"{script} is another one"
    run_commands(wanted, host(tier, script), report)
    return report


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
