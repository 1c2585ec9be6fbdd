"""Processor time of twelve kinds of work, each engine in the same run, interleaved, medians.

A kernel's result is compared between engines: a fast wrong answer is a failure, not a row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.bench.measure import Row, interleaved, row_of
from tests.bench.peers import ENGINES, Engine

FOLDER: Final = Path(__file__).parent / "kernels"
SIZES: Final[dict[str, int]] = {
    "collatz": 100_000,
    "crc32": 1_500_000,
    "dispatch": 5_000_000,
    "fib": 30,
    "indirect": 5_000_000,
    "mandelbrot": 300,
    "matmul": 200,
    "nbody": 300_000,
    "quicksort": 300_000,
    "sha256": 20_000,
    "sieve": 2_000_000,
    "xorshift": 10_000_000,
}
"""Fixed before the first measurement: some ten milliseconds each on a compiled engine."""


def measure(rounds: int, engines: tuple[Engine, ...] = ENGINES) -> Iterator[Row]:
    """One row per kernel: median milliseconds by engine."""
    return rows("kernel", FOLDER, SIZES, rounds, engines)


def rows(suite: str, folder: Path, sizes: Mapping[str, int], rounds: int, engines: tuple[Engine, ...]) -> Iterator[Row]:
    """One row for each program of a folder, which exports ``run``."""
    for name, size in sizes.items():
        text = (folder / f"{name}.wat").read_text()
        runs, answers = {}, {}
        for engine in engines:
            run = engine.prepare(text)
            answers[engine.name] = run(size)  # also compiles what is compiled lazily
            runs[engine.name] = lambda run=run, size=size: run(size)
        if len({repr(a) for a in answers.values()}) != 1:
            raise AssertionError(f"{name}: the engines disagree: {answers}")
        yield row_of(suite, name, "ms", interleaved(runs, rounds, 1e3, time.thread_time))
