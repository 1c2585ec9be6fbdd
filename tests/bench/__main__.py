"""``make bench``: measure, print, write JSON and the docs table; non-zero when a stated threshold fails."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Final, Protocol

from tests.bench import (
    ablation,
    ablation_machine,
    async_io,
    baselines,
    beside,
    boundary,
    collected,
    collected_programs,
    compiling,
    di,
    dwarfs,
    events,
    fibers,
    flagship,
    gc,
    held,
    instances,
    kernels,
    lifting,
    limits,
    page,
    placement,
    pool,
    programs,
    proposals,
    python,
    rebuild,
    simd,
    start,
    syscalls,
    threads,
    thresholds,
    tiers,
    updates,
    wide,
)
from tests.bench.facts import ROOT, WRITTEN, commit, load_average, machine
from tests.bench.intervals import summarise
from tests.bench.measure import Row, geometric_mean
from tests.bench.peers import EPOCHS, OURS, WASMTIME

TABLE, RESULTS = (ROOT / path for path in WRITTEN)


class Resumed(Protocol):
    """A suite that writes down what it has measured."""

    def __call__(self, rounds: int, resume: bool = False) -> Iterator[Row]:
        """Its rows in so many rounds; ``resume``: without measuring again what a run that was ended has measured."""


RESUMED: Final[dict[str, Resumed]] = {
    collected.SUITE: collected.measure,
    collected.BESIDE: collected.measure_beside,
    collected.MIX: collected.measure_mix,
    collected_programs.SUITE: collected.measure_programs,
}
SUITES: Final[dict[str, Callable[[int], Iterator[Row]]]] = {
    "start": start.measure,
    "instances": instances.measure,
    "compile": compiling.measure,
    "beside": beside.measure,
    "kernel": kernels.measure,
    "dwarf": dwarfs.measure,
    "placement": placement.measure,
    "programs": programs.measure,
    "tiers": tiers.measure,
    tiers.COMPILING: tiers.measure_compiling,
    "lifting": lifting.measure,
    "rebuild": rebuild.measure,
    "baselines": baselines.measure,
    "ablation": ablation.measure,
    "events": events.measure,
    "di": di.measure,
    "boundary": boundary.measure,
    "ablation-machine": ablation_machine.measure,
    "wide": wide.measure,
    simd.SUITE: simd.measure,
    proposals.SUITE: proposals.measure,
    "limits": limits.measure,
    "syscalls": syscalls.measure,
    "fibers": fibers.measure,
    async_io.SUITE: async_io.measure,
    held.SUITE: held.measure,
    "pool": pool.measure,
    "flagship": flagship.measure,
    threads.SUITE: threads.measure,
    updates.SUITE: updates.measure,
    python.SUITE: python.measure,
    **RESUMED,
    gc.SUITE: gc.measure,
}


# What is measured is compiled, unless a row says that its code was kept: those turn the cache on for themselves.
os.environ["STRATA_CACHE"] = "off"


def main() -> int:
    """Run the chosen suites."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=tuple(SUITES), action="append", help="a suite; given again, one more")
    parser.add_argument("--rounds", type=int, default=7, help="rounds per row; the median counts")
    parser.add_argument("--write", action="store_true", help="write the docs table and the JSON; suites not run stay")
    parser.add_argument("--resume", action="store_true", help=f"go on where a run was ended: {', '.join(RESUMED)}")
    options = parser.parse_args()
    if options.resume and not set(options.only or SUITES) <= set(RESUMED):
        parser.error(f"--resume is for {', '.join(RESUMED)}: name them by --only")
    rows = []
    facts = {**machine(), "commit": commit(), "date": str(date.today()), "rounds": str(options.rounds)}
    for name, suite in SUITES.items():
        if options.only is None or name in options.only:
            measure = partial(RESUMED[name], options.rounds, True) if options.resume else partial(suite, options.rounds)
            for row in measure():
                print(_line(row), flush=True)
                rows.append(row)
    for what, mean, (low, high) in summarise(rows):
        print(f"{what}: {mean:.3f} ({low:.3f} to {high:.3f})")
    stated = verdicts(rows)
    for verdict in stated:
        print(verdict)
    problems = [*failures(rows), *thresholds.missed(stated)]
    facts["load"] = load_average()
    print(json.dumps({**facts, **summary(rows)}, indent=2))
    if options.write:
        results = page.Results.read(RESULTS).updated(rows, facts)
        results.write(RESULTS)
        TABLE.write_text(page.render(results, list(SUITES), summary(results.rows), verdicts(results.rows)))
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    return int(bool(problems))


def verdicts(rows: list[Row]) -> list[thresholds.Verdict]:
    """On the limits of programs, their instances and kernels at two places, met or missed."""
    return [
        *placement.verdicts(rows),
        *programs.verdicts(rows),
        *tiers.verdicts(rows),
        *lifting.verdicts(rows),
        *instances.verdicts(rows),
        *pool.verdicts(rows),
        *flagship.verdicts(rows),
        *rebuild.verdicts(rows),
        *wide.verdicts(rows),
        *simd.verdicts(rows),
        *proposals.verdicts(rows),
        *threads.verdicts(rows),
        *updates.verdicts(rows),
        *python.verdicts(rows),
        *collected.verdicts(rows),
        *gc.verdicts(rows),
    ]


def failures(rows: list[Row]) -> list[str]:
    """Thresholds that the issues state, where this run shows them broken."""
    suites = (events, di, boundary, limits, syscalls, fibers, async_io, held)
    problems = [problem for suite in suites for problem in suite.failures(rows)]
    for row in rows:
        if row.suite == "start" and row.name.startswith("CPython") and row.values["strata"] > 600:
            problems.append(f"{row.name}: {row.values['strata']:.0f} ms, at most 600 ms")
    return problems


def summary(rows: list[Row]) -> dict[str, float]:
    """Geometric means of the ratios of kernels and system calls."""
    ours = [r for r in rows if r.suite == "kernel"]
    result = syscalls.summary(rows)
    for engine in ours[0].values if ours else ():
        if engine != WASMTIME:
            ratios = [r.ratio(engine, WASMTIME) for r in ours]
            result[f"{engine} / {WASMTIME}"] = round(geometric_mean(x for x in ratios if x), 2)
    epochs = [r.ratio(OURS, EPOCHS) for r in ours]
    if ours:
        result[f"{OURS} / {EPOCHS}"] = round(geometric_mean(x for x in epochs if x), 2)
    return result


def _line(row: Row) -> str:
    return f"{row.suite:8} {row.name:18} " + "  ".join(f"{k} {v:.2f} {row.unit}" for k, v in row.values.items())


if __name__ == "__main__":
    sys.exit(main())
