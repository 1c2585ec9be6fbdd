"""Timing: interleaved rounds, so that a noisy neighbour hits everybody alike, and medians."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a median by engine."""

    suite: str
    name: str
    unit: str
    values: Mapping[str, float]

    def ratio(self, ours: str, theirs: str) -> float | None:
        """How many times ``theirs`` we need; None where either is missing."""
        if ours not in self.values or theirs not in self.values:
            return None
        return self.values[ours] / self.values[theirs]


def interleaved(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, over rounds that run all of them in turn."""
    samples: dict[str, list[float]] = {name: [] for name in runs}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, run in runs.items():
                begin = time.perf_counter()
                run()
                samples[name].append(time.perf_counter() - begin)
    finally:
        gc.enable()
    return {name: statistics.median(s) for name, s in samples.items()}


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean; NaN of nothing."""
    logs = [math.log(v) for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan
