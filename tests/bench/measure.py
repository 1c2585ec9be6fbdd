"""Timing: interleaved rounds, so that a noisy neighbour hits everybody alike, and medians."""

from __future__ import annotations

import gc
import math
import mmap
import random
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tools.programs import WHEELS


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a median by engine, and what it is the median of, round by round, where that is kept."""

    suite: str
    name: str
    unit: str
    values: Mapping[str, float]
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def ratio(self, ours: str, theirs: str) -> float | None:
        """How many times ``theirs`` we need; None where either is missing."""
        if ours not in self.values or theirs not in self.values:
            return None
        return self.values[ours] / self.values[theirs]


def row_of(suite: str, name: str, unit: str, samples: Mapping[str, Sequence[float]]) -> Row:
    """A row of medians."""
    return Row(suite, name, unit, {k: statistics.median(s) for k, s in samples.items()}, samples)


USED_BYTES: Final = 128 << 20
"""What the largest program of the bench touches, and more."""


def have_memory(size: int = USED_BYTES) -> None:
    """Use memory, and leave it to the process that is measured next.

    Where the host of a virtual machine takes back what is free (free page reporting), the first touch of a page takes
    13 µs instead of 2, for whoever happens to get it: 50 ms of QuickJS's 230, which were there in one sample and not in
    the next one. What was in use a moment ago is there.
    """
    with mmap.mmap(-1, size) as memory:
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        memory[:: mmap.PAGESIZE] = bytes(-(-size // mmap.PAGESIZE))


def skipped(suite: str, program: str) -> Row:
    """The row of a program that is not here: it says so, and holds no figure."""
    return Row(suite, f"{program}: skipped, the wheel {WHEELS[program]} is not installed", "ms", {})


def interleaved(
    runs: Mapping[str, Callable[[], Any]],
    rounds: int,
    scale: float = 1.0,
    clock: Callable[[], float] = time.perf_counter,
    shuffled: bool = False,
) -> dict[str, list[float]]:
    """Seconds of each, times ``scale``, over rounds that run all of them in turn.

    ``shuffled``: each round in an order of its own, always the same ones; for whole processes, of which else each would
    get the pages that the same one has left. Each of them finds memory (``have_memory``). ``clock``:
    ``time.thread_time`` for work of this thread only, so that waiting for a busy processor does not count.
    """
    samples: dict[str, list[float]] = {name: [] for name in runs}
    names, orders = list(runs), random.Random(0)
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            if shuffled:
                orders.shuffle(names)
            for name in names:
                run = runs[name]
                if shuffled:
                    have_memory()
                begin = clock()
                run()
                samples[name].append((clock() - begin) * scale)
    finally:
        gc.enable()
    return samples


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean; NaN of nothing."""
    logs = [math.log(v) for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def per_call(
    statements: Mapping[str, tuple[str, Mapping[str, Any]]], rounds: int, loops: int = 5000
) -> dict[str, float]:
    """Nanoseconds of each statement, net of the loop: the best of many short interleaved rounds.

    The best, not the median: what disturbs a loop of a hundred microseconds only ever adds to it.
    """
    timers = {name: timeit.Timer(code, globals=dict(names)) for name, (code, names) in statements.items()}
    timers[""] = timeit.Timer("pass")
    best = dict.fromkeys(timers, math.inf)
    for _ in range(rounds * 10):
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(loops))
    floor = best.pop("")
    return {name: (seconds - floor) / loops * 1e9 for name, seconds in best.items()}
