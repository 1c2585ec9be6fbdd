"""What each pass of level 1 buys: the kernels with one pass off, against all of them, in the same run."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stratavm.ir.pipeline import PASSES
from tests.bench import kernels
from tests.bench.measure import Row, geometric_mean
from tests.bench.peers import Engine, strata

ALL = "all passes"
NONE = "no pass"


FOLDER: Final = Path(__file__).parent / "passes"
MADE_FOR: Final[dict[str, tuple[int, dict[str, Any]]]] = {
    "helpers": (2_000_000, {}),
    "divisions": (100_000, {}),
    "bounds": (3_000_000, {"memory_plan": "bounded"}),
    "globals": (2_000_000, {}),
}
"""Kernels that one pass was made for, beside the twelve: size, and options of the engine."""
BOUNDED: Final = ("crc32", "matmul", "sha256", "sieve")
"""Kernels whose loops lose checks under the bounded plan, which have a row for it too."""


def engines(**options: Any) -> tuple[Engine, ...]:
    """Level 1 whole, without each pass, and without any."""
    without = tuple(
        Engine(f"without {name}", strata(tier="jit1", passes=tuple(p for p in PASSES if p != name), **options))
        for name in PASSES
    )
    return (
        Engine(ALL, strata(tier="jit1", **options)),
        *without,
        Engine(NONE, strata(tier="jit1", passes=(), **options)),
    )


def row(name: str, text: str, size: int, rounds: int, **options: Any) -> Row:
    """The best milliseconds of many interleaved runs, since noise only ever adds to a small effect; in
    processor time of this thread, which other processes disturb less."""
    runs = {engine.name: engine.prepare(text) for engine in engines(**options)}
    if len({repr(run(size)) for run in runs.values()}) != 1:
        raise AssertionError(f"{name}: a pass changes the result; `strata bisect` finds it")
    best = dict.fromkeys(runs, math.inf)
    for _ in range(rounds * 2):
        for engine, run in runs.items():
            begin = time.thread_time()
            run(size)
            best[engine] = min(best[engine], (time.thread_time() - begin) * 1e3)
    return Row("ablation", name, "ms", best)


def measure(rounds: int) -> Iterator[Row]:
    """One row per kernel; the geometric mean of the twelve kernels' ratios; then the kernels of single passes."""
    rows = []
    for name, size in kernels.SIZES.items():
        rows.append(row(name, (kernels.FOLDER / f"{name}.wat").read_text(), size, rounds))
        yield rows[-1]
    means = {name: geometric_mean(r.values[name] / r.values[ALL] for r in rows) for name in rows[0].values}
    yield Row("ablation", "mean of ratios", "×", means)
    for name, (size, options) in MADE_FOR.items():
        yield row(name, (FOLDER / f"{name}.wat").read_text(), size, rounds, **options)
    for name in BOUNDED:
        text = (kernels.FOLDER / f"{name}.wat").read_text()
        yield row(f"{name}, bounded", text, kernels.SIZES[name], rounds, memory_plan="bounded")
