"""What was measured, when and where: JSON for programs, a page for readers. A run replaces the suites that it ran."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench import intervals, placement
from tests.bench.measure import Row
from tests.bench.thresholds import Verdict

Facts = dict[str, str]
"""Processor, kernel, versions, commit, date, rounds."""


@dataclass(frozen=True, slots=True)
class Results:
    """Rows, and the facts of the run that each suite comes from."""

    rows: list[Row] = field(default_factory=list)
    runs: dict[str, Facts] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Results:
        """What a file holds; nothing where there is none."""
        if not path.exists():
            return cls()
        found = json.loads(path.read_text())
        return cls([Row(**row) for row in found["rows"]], found["runs"])

    def write(self, path: Path) -> None:
        """Replace the file."""
        path.write_text(json.dumps({"runs": self.runs, "rows": [asdict(row) for row in self.rows]}, indent=1) + "\n")

    def updated(self, rows: Sequence[Row], facts: Facts) -> Results:
        """With the suites of these rows measured anew, and the others as they were."""
        ran = {row.suite for row in rows}
        return Results(
            [*(row for row in self.rows if row.suite not in ran), *rows], {**self.runs, **dict.fromkeys(ran, facts)}
        )


def render(
    results: Results, suites: Sequence[str], summary: Mapping[str, float], verdicts: Sequence[Verdict] = ()
) -> str:
    """The docs page; ``verdicts`` are on limits that the issues state."""
    lines = ["# Benchmarks", "", "Written by `make bench ARGS=--write`. Medians of interleaved rounds in one run.", ""]
    common = shared([results.runs[suite] for suite in suites if suite in results.runs])
    lines += [_said(common), ""] if common else []
    for suite in suites:
        own = {key: value for key, value in results.runs.get(suite, {}).items() if key not in common}
        lines += _suite(suite, [row for row in results.rows if row.suite == suite], own)
    lines += intervals.render(results.rows)
    lines += placement.render(results.rows)
    if verdicts:
        lines += ["## Limits", "", *(f"- {verdict}" for verdict in verdicts), ""]
    lines += ["## Geometric means of the kernels and system calls", ""]
    lines += [f"- {key}: {value}" for key, value in summary.items()]
    return "\n".join(lines) + "\n"


def shared(runs: Sequence[Facts]) -> Facts:
    """What all runs agree about: it is said once."""
    return {key: value for key, value in (runs[0] if runs else {}).items() if all(r.get(key) == value for r in runs)}


def _said(facts: Facts) -> str:
    """Facts as a line."""
    return ", ".join(f"{key} {value}" for key, value in facts.items())


def _suite(suite: str, rows: Sequence[Row], facts: Facts) -> Iterator[str]:
    """Heading, circumstances and tables of a suite: rows with further columns begin a new one."""
    if not rows:
        return
    yield from (f"## {suite} ({rows[0].unit})", "")
    if facts:
        yield from (_said(facts), "")
    engines: list[str] = []
    for row in rows:
        if not engines or not row.values.keys() <= set(engines):
            if engines:
                yield ""
            engines = list(row.values)
            yield f"| {row.unit} | " + " | ".join(engines) + " |"
            yield "|---|" + "---:|" * len(engines)
        yield (
            f"| {row.name} | " + " | ".join(f"{row.values[e]:.2f}" if e in row.values else "–" for e in engines) + " |"
        )
    yield ""
