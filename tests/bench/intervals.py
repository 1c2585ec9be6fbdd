"""How sure a ratio is: 95 % intervals of medians, and of geometric means of medians.

The ratio of two engines is taken within each round, so that what disturbs a whole round disturbs both. The interval of
one median comes from order statistics (the k-th smallest to the k-th largest of n ratios, from the binomial
distribution; it assumes nothing about their distribution), that of a mean over rows from a bootstrap over rounds.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.measure import Row, geometric_mean

LEVEL: Final = 0.95
DRAWS: Final = 4000

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours over theirs, over the rows of a suite whose names end in ``ending``."""

    what: str
    suite: str
    ours: str
    theirs: str
    ending: str = ""


COMPARISONS: Final = (
    Comparison("level 1 / wasmtime", "kernel", "strata jit1", "wasmtime"),
    Comparison("level 0 / wasmtime", "kernel", "strata jit0", "wasmtime"),
    Comparison("dwarfs: level 1 / wasmtime", "dwarf", "strata jit1", "wasmtime"),
    Comparison("dwarfs: level 0 / wasmtime", "dwarf", "strata jit0", "wasmtime"),
    Comparison("programs, guest: level 1 / wasmtime", "programs", "strata jit1", "wasmtime", ", guest"),
    Comparison("programs, guest: level 0 / wasmtime", "programs", "strata jit0", "wasmtime", ", guest"),
    Comparison("level 1 / wasmtime with epochs", "kernel", "strata jit1", "wasmtime+epochs"),
    Comparison("JIT-2: level 1 without the scheduler / with it", "ablation-machine", "no schedule", "all"),
    Comparison("JIT-3: time of programs, lazy level 0 / eager level 1", "baselines", "lazy jit0", "eager jit1", " ms"),
    Comparison("JIT-4: level 1 / level 1 with the naive allocator", "kernel", "strata jit1", "strata jit1 naive"),
    Comparison("JIT-4: level 1 / level 0", "kernel", "strata jit1", "strata jit0"),
    Comparison("JIT-5: peak memory, lazy / eager naive", "baselines", "lazy jit0", "eager jit0 naive", " peak"),
    Comparison("JIT-5: machine code, lazy / eager naive", "baselines", "lazy jit0", "eager jit0 naive", " code"),
    Comparison("JIT-5: peak memory, `auto` / eager naive", "baselines", "auto", "eager jit0 naive", " peak"),
    Comparison("JIT-5: machine code, `auto` / eager naive", "baselines", "auto", "eager jit0 naive", " code"),
)
"""What the acceptance rows and the issues ask for (ADR-0006)."""


def median_interval(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """The narrowest symmetric pair of order statistics that covers the median at least so often; None of too few.

    The median lies below the k-th smallest of n values as often as fewer than k of n coins fall heads.
    """
    ordered = sorted(values)
    n, below, k = len(ordered), 0.0, 0
    while 2 * (below + math.comb(n, k) / 2**n) <= 1 - level:
        below += math.comb(n, k) / 2**n
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else None


def mean_interval(rows: Sequence[Sequence[float]], level: float = LEVEL, draws: int = DRAWS) -> Interval:
    """Percentiles of the geometric mean of medians, over resampled rounds of each row; deterministic."""
    rng = random.Random(0)
    means = sorted(
        geometric_mean(statistics.median(rng.choices(row, k=len(row))) for row in rows) for _ in range(draws)
    )
    tail = round(draws * (1 - level) / 2)
    return means[tail], means[-1 - tail]


def ratios(row: Row, ours: str, theirs: str) -> list[float]:
    """The ratio of each round; empty where a side was not measured."""
    return [a / b for a, b in zip(row.samples.get(ours, ()), row.samples.get(theirs, ()), strict=True)]


def chosen(rows: Iterable[Row], comparison: Comparison) -> list[Row]:
    """The rows that a comparison is about, and that were measured."""
    return [
        row
        for row in rows
        if row.suite == comparison.suite
        and row.name.endswith(comparison.ending)
        and comparison.ours in row.samples
        and comparison.theirs in row.samples
    ]


def summarise(rows: Sequence[Row]) -> Iterator[tuple[str, float, Interval]]:
    """Each comparison that was measured: its name, the geometric mean of the median ratios, its interval."""
    for comparison in COMPARISONS:
        found = [ratios(row, comparison.ours, comparison.theirs) for row in chosen(rows, comparison)]
        if found:
            yield comparison.what, geometric_mean(map(statistics.median, found)), mean_interval(found)


def render(rows: Sequence[Row]) -> list[str]:
    """Two tables for the docs page: the means, and each kernel against wasmtime."""
    means = list(summarise(rows))
    if not means:
        return []
    lines = ["## Ratios, with 95 % intervals", ""]
    lines += ["Geometric means over the rows of a suite of the median ratio of each row; below 1 we need less.", ""]
    lines += ["| ours / theirs | ratio | 95 % interval |", "|---|---:|---:|"]
    lines += [f"| {what} | {mean:.3f} | {low:.3f} – {high:.3f} |" for what, mean, (low, high) in means]
    lines += ["", "| kernel | level 1 / wasmtime | 95 % interval | level 0 / wasmtime | 95 % interval |"]
    lines += ["|---|---:|---:|---:|---:|"]
    for row in chosen(rows, COMPARISONS[0]):
        pairs = [ratios(row, comparison.ours, comparison.theirs) for comparison in COMPARISONS[:2]]
        lines.append(f"| {row.name} | " + " | ".join(map(cell, pairs)) + " |")
    return [*lines, ""]


def cell(values: Sequence[float]) -> str:
    """A median and its interval, as two cells."""
    interval = median_interval(values)
    return f"{statistics.median(values):.3f} | " + (f"{interval[0]:.3f} – {interval[1]:.3f}" if interval else "–")
