"""What each pass of level 1 buys: the kernels with one pass off, against all of them, in the same run."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.ir.pipeline import PASSES
from tests.bench import kernels
from tests.bench.measure import Row, geometric_mean
from tests.bench.peers import Engine, strata

ALL = "all passes"
NONE = "no pass"


def engines() -> tuple[Engine, ...]:
    """Level 1 whole, without each pass, and without any."""
    without = tuple(
        Engine(f"without {name}", strata(tier="jit1", passes=tuple(p for p in PASSES if p != name))) for name in PASSES
    )
    return (Engine(ALL, strata(tier="jit1")), *without, Engine(NONE, strata(tier="jit1", passes=())))


def measure(rounds: int) -> Iterator[Row]:
    """One row per kernel in milliseconds; the last row is the geometric mean of the ratios to all passes."""
    rows = []
    for row in kernels.measure(rounds, engines()):
        rows.append(row)
        yield Row("ablation", row.name, row.unit, row.values)
    names = rows[0].values
    means = {name: geometric_mean(r.values[name] / r.values[ALL] for r in rows) for name in names}
    yield Row("ablation", "mean of ratios", "×", means)
