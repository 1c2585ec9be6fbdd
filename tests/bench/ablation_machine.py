"""Suite ``ablation-machine``: each kernel at level 1 as it is, with each machine pass off, and without splitting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from stratavm.native.worker import MACHINE_PASSES
from tests.bench.kernels import measure as kernels
from tests.bench.measure import Row
from tests.bench.peers import Engine, strata

ALL: Final = "all"
OFF: Final = tuple(
    Engine(f"no {off}", strata(tier="jit1", machine_passes=tuple(name for name in MACHINE_PASSES if name != off)))
    for off in MACHINE_PASSES
)
SIMPLE: Final = Engine("no splitting", strata(tier="jit1", allocator="linear"))
"""The allocator of level 0: what splitting values buys."""
NONE: Final = Engine("none", strata(tier="jit1", machine_passes=()))
ENGINES: Final = (Engine(ALL, strata(tier="jit1")), *OFF, SIMPLE, NONE)


def measure(rounds: int) -> Iterator[Row]:
    """One row per kernel: median milliseconds with everything, without each pass, and without all of them."""
    for row in kernels(rounds, ENGINES):
        yield replace(row, suite="ablation-machine")
