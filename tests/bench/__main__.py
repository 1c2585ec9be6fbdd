"""``make bench``: measure, print, write JSON and the docs table; non-zero when a stated threshold fails."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from tests.bench import (
    ablation,
    ablation_machine,
    baselines,
    boundary,
    compiling,
    di,
    events,
    intervals,
    kernels,
    limits,
    start,
)
from tests.bench.intervals import summarise
from tests.bench.measure import Row, geometric_mean
from tests.bench.peers import EPOCHS, OURS, WASMTIME

ROOT: Final = Path(__file__).parents[2]
TABLE: Final = ROOT / "docs" / "reference" / "benchmarks.md"
RESULTS: Final = ROOT / "docs" / "reference" / "benchmarks.json"
FRAMEWORKS: Final = ("blinker", "psygnal", "pyee", "pluggy", "dependency-injector", "wireup", "dishka", "diwire")
SUITES: Final[dict[str, Callable[[int], Iterator[Row]]]] = {
    "start": start.measure,
    "compile": compiling.measure,
    "kernel": kernels.measure,
    "baselines": baselines.measure,
    "ablation": ablation.measure,
    "events": events.measure,
    "di": di.measure,
    "boundary": boundary.measure,
    "ablation-machine": ablation_machine.measure,
    "limits": limits.measure,
}


def main() -> int:
    """Run the chosen suites."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=tuple(SUITES), help="one suite")
    parser.add_argument("--rounds", type=int, default=7, help="rounds per row; the median counts")
    parser.add_argument("--write", action="store_true", help="write the docs table and the JSON; suites not run stay")
    options = parser.parse_args()
    rows = []
    for name, suite in SUITES.items():
        if options.only in (None, name):
            for row in suite(options.rounds):
                print(_line(row), flush=True)
                rows.append(row)
    for what, mean, (low, high) in summarise(rows):
        print(f"{what}: {mean:.3f} ({low:.3f} to {high:.3f})")
    problems = failures(rows)
    if options.write:
        rows = merged(rows)
    facts = {"date": str(date.today()), "machine": machine(), "rounds": options.rounds, "summary": summary(rows)}
    print(json.dumps(facts, indent=2))
    if options.write:
        RESULTS.write_text(json.dumps({**facts, "rows": [asdict(r) for r in rows]}, indent=1) + "\n")
        TABLE.write_text(render(rows, facts))
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    return int(bool(problems))


def merged(rows: list[Row]) -> list[Row]:
    """These rows, and those of the suites that this run left out, as they were written before."""
    ran = {row.suite for row in rows}
    before = [Row(**row) for row in json.loads(RESULTS.read_text())["rows"]] if RESULTS.exists() else []
    return [*(row for row in before if row.suite not in ran), *rows]


def failures(rows: list[Row]) -> list[str]:
    """Thresholds that the issues state, where this run shows them broken."""
    problems = events.failures(rows) + di.failures(rows) + boundary.failures(rows) + limits.failures(rows)
    for row in rows:
        if row.suite == "start" and row.name.startswith("CPython") and row.values["strata"] > 600:
            problems.append(f"{row.name}: {row.values['strata']:.0f} ms, at most 600 ms")
    return problems


def summary(rows: list[Row]) -> dict[str, float]:
    """Geometric means of the kernels' ratios."""
    ours = [r for r in rows if r.suite == "kernel"]
    result = {}
    for engine in ours[0].values if ours else ():
        if engine != WASMTIME:
            ratios = [r.ratio(engine, WASMTIME) for r in ours]
            result[f"{engine} / {WASMTIME}"] = round(geometric_mean(x for x in ratios if x), 2)
    epochs = [r.ratio(OURS, EPOCHS) for r in ours]
    if ours:
        result[f"{OURS} / {EPOCHS}"] = round(geometric_mean(x for x in epochs if x), 2)
    return result


def machine() -> dict[str, str]:
    """What was measured where."""
    with open("/proc/cpuinfo") as lines:
        cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")
    versions = {}
    for package in ("wasmtime", "pywasm3", *FRAMEWORKS):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"cpu": cpu, "kernel": platform.release(), "python": platform.python_version(), **versions}


def render(rows: list[Row], facts: dict[str, object]) -> str:
    """The docs page."""
    lines = ["# Benchmarks", "", "Written by `make bench ARGS=--write`. Medians of interleaved rounds in one run.", ""]
    lines += [f"- {key}: {value}" for key, value in facts["machine"].items()]  # type: ignore[attr-defined]
    lines += [f"- date: {facts['date']}, rounds: {facts['rounds']}", ""]
    for suite in SUITES:
        chosen = [r for r in rows if r.suite == suite]
        if chosen:
            engines = list(chosen[0].values)
            lines += [f"## {suite} ({chosen[0].unit})", "", "| | " + " | ".join(engines) + " |"]
            lines += ["|---|" + "---:|" * len(engines)]
            lines += [
                f"| {r.name} | " + " | ".join(f"{r.values[e]:.2f}" if e in r.values else "–" for e in engines) + " |"
                for r in chosen
            ]
            lines += [""]
    lines += intervals.render(rows)
    lines += ["## Geometric means of the kernels", ""]
    lines += [f"- {key}: {value}" for key, value in facts["summary"].items()]  # type: ignore[attr-defined]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    return f"{row.suite:8} {row.name:18} " + "  ".join(f"{k} {v:.2f} {row.unit}" for k, v in row.values.items())


if __name__ == "__main__":
    sys.exit(main())
