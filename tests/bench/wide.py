"""Suite ``wide``: kernels over a memory of 64-bit addresses, against the same over one of 32 bits in the bounded plan.

What is a place, or counts places, is an i64 in ``wide``; all else is as in ``kernels``. ADR-0050 says which and why.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.bench import kernels
from tests.bench.measure import Row, geometric_mean
from tests.bench.peers import strata
from tests.bench.thresholds import Verdict

FOLDER: Final = Path(__file__).parent / "wide"
NAMES: Final = ("crc32", "matmul", "quicksort", "sha256", "sieve")
NARROW: Final = "32-bit bounded"
WIDE: Final = "64-bit"
MOST: Final = 1.25
"""Of the time that the same kernel takes over 32-bit addresses."""


def measure(rounds: int) -> Iterator[Row]:
    """The best milliseconds of interleaved runs, in processor time of this thread; then the mean of their ratios."""
    prepare = strata(tier="jit1", memory_plan="bounded")
    rows = []
    for name in NAMES:
        runs = {
            NARROW: prepare((kernels.FOLDER / f"{name}.wat").read_text()),
            WIDE: prepare((FOLDER / f"{name}.wat").read_text()),
        }
        size = kernels.SIZES[name]
        if len({repr(run(size)) for run in runs.values()}) != 1:
            raise AssertionError(f"{name}: the results differ")
        best = dict.fromkeys(runs, math.inf)
        for _ in range(rounds * 2):
            for which, run in runs.items():
                begin = time.thread_time()
                run(size)
                best[which] = min(best[which], (time.thread_time() - begin) * 1e3)
        rows.append(Row("wide", name, "ms", best))
        yield rows[-1]
    mean = geometric_mean(row.values[WIDE] / row.values[NARROW] for row in rows)
    yield Row("wide", "mean of ratios", "×", {NARROW: 1.0, WIDE: mean})


def verdicts(rows: Iterable[Row]) -> list[Verdict]:
    """Whether each kernel keeps within its limit."""
    kernels_of = (row for row in rows if row.suite == "wide" and row.unit == "ms")
    return [
        Verdict(f"{row.name}, 64-bit addresses / 32-bit, bounded", row.values[WIDE] / row.values[NARROW], None, MOST)
        for row in kernels_of
    ]
