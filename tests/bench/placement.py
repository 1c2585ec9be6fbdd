"""Every kernel at two places of the code memory, each engine in the same run; the worse one counts (ADR-0022)."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench import dwarfs, kernels
from tests.bench.dwarfs import DWARFS, ENGINES
from tests.bench.intervals import cell, mean_interval, median_interval, ratios
from tests.bench.measure import Row, geometric_mean, interleaved, row_of
from tests.bench.peers import WASMTIME, Engine
from tests.bench.thresholds import Verdict

STEPS: Final = 41
"""An odd number, so that what lies behind them does not begin where it did by another page."""
FIRST_FUNCTION: Final = re.compile(r"^  \(func", re.MULTILINE)
MOVED: Final = ", moved"
LEAST_ROUNDS: Final = 6
"""Fewer have no interval of 95 %."""
SIZES: Final[dict[str, tuple[Path, int]]] = {
    **{name: (kernels.FOLDER, size) for name, size in kernels.SIZES.items()},
    **{name: (dwarfs.FOLDER, dwarf.size) for name, dwarf in DWARFS.items()},
}


FLOATS: Final = (
    *("fft", "gemv", "lu", "mandelbrot", "matmul", "matmul-rows", "merge-sort"),
    *("monte-carlo", "nbody", "nbody-double", "numbers", "spmv", "stencil"),
)
"""Those that compute with scalar floats (ADR-0053)."""


def moved(text: str) -> str:
    """The same program behind a function that nobody calls, whose steps no engine can leave out."""
    steps = "".join(
        f"\n    i64.const {0x1E3779B97F4A7C15 + step:#x} i64.xor i64.const {0x5851F42D4C957F2D + 2 * step:#x} i64.mul"
        for step in range(STEPS)
    )
    function = f'  (func (export "in_front") (param i64) (result i64) local.get 0{steps})\n'
    at = FIRST_FUNCTION.search(text)
    if at is None:
        raise ValueError("no line begins with two blanks and a function")
    return text[: at.start()] + function + text[at.start() :]


def measure(rounds: int, names: Sequence[str] = tuple(SIZES), engines: Sequence[Engine] = ENGINES) -> Iterator[Row]:
    """One row per kernel: median milliseconds of each engine at either place."""
    for name in names:
        folder, size = SIZES[name]
        text = (folder / f"{name}.wat").read_text()
        runs, answers = {}, {}
        for ending, source in ("", text), (MOVED, moved(text)):
            for engine in engines:
                run = engine.prepare(source)
                answers[engine.name + ending] = run(size)  # also compiles what is compiled lazily
                runs[engine.name + ending] = lambda run=run, size=size: run(size)
        if len({repr(answer) for answer in answers.values()}) != 1:
            raise AssertionError(f"{name}: the engines disagree: {answers}")
        samples = interleaved(runs, max(LEAST_ROUNDS, rounds), 1e3, time.thread_time)
        yield row_of("placement", name, "ms", samples)


def worse(row: Row, engine: str) -> list[float]:
    """The rounds' ratios to wasmtime, both at the same place: of the place where their median is larger."""
    places = [ratios(row, engine + ending, WASMTIME + ending) for ending in ("", MOVED)]
    return max(places, key=statistics.median)


MEANS: Final[Mapping[str, float]] = {"strata jit1": 0.90, "strata jit0": 1.0}
"""The most that the geometric mean of the worse ratios may be."""
MOST: Final[Mapping[str, float]] = {"strata jit1": 1.15, "strata jit0": 1.4}
"""The most that the upper end of any kernel's interval may be."""
FLOATS_MEAN: Final = 0.95
"""The most that the mean of scalar floats at level 1 may be, with AVX where the processor has it."""


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What the issue states of all kernels, and each kernel that is over."""
    own = [row for row in rows if row.suite == "placement"]
    found = []
    for engine, limit in MEANS.items() if own else ():
        what = f"{engine} / {WASMTIME}, the worse of two places"
        columns = {row.name: worse(row, engine) for row in own}
        mean = geometric_mean(map(statistics.median, columns.values()))
        found.append(Verdict(f"{what}: mean of {len(own)}", mean, mean_interval(list(columns.values())), limit))
        for name, column in columns.items():
            interval = median_interval(column)
            if interval and interval[1] > MOST[engine]:
                found.append(Verdict(f"{what}: {name}, upper end", interval[1], interval, MOST[engine]))
    columns = [worse(row, "strata jit1") for row in own if row.name in FLOATS]
    if columns:
        mean = geometric_mean(map(statistics.median, columns))
        what = f"strata jit1 / {WASMTIME}, the worse of two places: mean of scalar floats, {len(columns)}"
        found.append(Verdict(what, mean, mean_interval(columns), FLOATS_MEAN))
    return found


def render(rows: Sequence[Row]) -> list[str]:
    """A table for the docs page: each kernel at its worse place."""
    own = [row for row in rows if row.suite == "placement"]
    if not own:
        return []
    lines = ["## Kernels at the worse of two places", "", "Time by wasmtime's at the same place (ADR-0022).", ""]
    lines += ["| kernel | level 1 | 95 % interval | level 0 | 95 % interval |", "|---|---:|---:|---:|---:|"]
    for row in own:
        lines.append(f"| {row.name} | " + " | ".join(cell(worse(row, engine)) for engine in MEANS) + " |")
    return [*lines, ""]
