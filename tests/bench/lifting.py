"""What tier ``auto`` costs and gains inside one call (ADR-0028, ADR-0030): counters, and loops that are called once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tests.bench import kernels
from tests.bench.intervals import mean_interval, ratios
from tests.bench.measure import Row, geometric_mean, interleaved, row_of
from tests.bench.thresholds import Verdict, of_median

LOOPS: Final = 21
"""Fresh engines, each with a loop that nobody has called before."""
ROUNDS: Final = 1 << 27
"""Of the loop: a quarter of a second at level 0."""
SPIN: Final = """(module (func (export "spin") (param i32) (result i32) (local i32)
  (loop (local.set 1 (i32.xor (i32.mul (local.get 1) (i32.const 3)) (local.get 0)))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (local.get 1)))"""
PATIENCE_S: Final = 60
COUNTERS_LIMIT: Final = 1.03
TICKS_LIMIT: Final = 4.0
CPU_LIMIT: Final = 20.0


def measure(rounds: int) -> Iterator[Row]:
    """Rows of kernels at level 0 with and without counters; then of loops."""
    yield from counters(max(6, rounds))
    ticks, cpu = long_loops(LOOPS)
    yield row_of("lifting", "a long loop is at level 1, ticks", "ticks", {"auto": ticks})
    yield row_of("lifting", "a long loop is at level 1, processor time", "ms", {"auto": cpu})


def counters(rounds: int) -> Iterator[Row]:
    """Kernels whose functions count their calls, and change no level."""
    import stratavm
    from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds

    for name, size in kernels.SIZES.items():
        text = (kernels.FOLDER / f"{name}.wat").read_text()
        runs = {}
        for column in ("without", "with"):
            engine = stratavm.Engine(tier="jit0")
            if column == "with":
                engine = stratavm.Engine(tier="auto", services={Policy: Thresholds(MOST_CALLS, ticks=False)})
            instance = stratavm.Linker(engine).instantiate(stratavm.Store(engine), stratavm.Module(text, engine=engine))
            run = instance.exports.run
            run(size)  # also compiles what is compiled lazily
            runs[column] = lambda run=run, size=size: run(size)
        yield row_of("lifting", f"{name}, counters", "ms", interleaved(runs, rounds, 1e3, time.thread_time))


def long_loops(count: int, rounds: int = ROUNDS) -> tuple[list[float], list[float]]:
    """Ticks, and ms of the thread's processor time, from the call to the poll that leaves for level 1, of so many
    loops, each in an engine of its own. Calls that end before, for want of ticks, are made again. AssertionError: for
    more than a minute each."""
    import stratavm

    ticks: list[float] = []
    cpu: list[float] = []
    end = time.monotonic() + PATIENCE_S * count
    while len(cpu) < count:
        if time.monotonic() > end:
            raise AssertionError(f"{len(cpu)} of {count} loops left for level 1")
        engine = stratavm.Engine(tier="auto")
        module = stratavm.Module(SPIN, engine=engine)
        spin = stratavm.Linker(engine).instantiate(stratavm.Store(engine), module).exports.spin
        table = module.code.lazy.table
        begin = time.thread_time_ns()
        spin(rounds)
        if table.left_ns:
            ticks.append(float(table.tally(0)[1]))
            cpu.append((table.left_ns[-1] - begin) / 1e6)
    return ticks, cpu


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What the issue states, where it was measured."""
    own = [row for row in rows if row.suite == "lifting" and row.values]
    each = [ratios(row, "with", "without") for row in own if row.name.endswith(", counters")]
    found = []
    if each:
        mean = geometric_mean(map(statistics.median, each))
        found.append(Verdict("level 0 with counters / without", mean, mean_interval(each), COUNTERS_LIMIT))
    for row in own:
        for ending, limit in (("ticks", TICKS_LIMIT), ("processor time", CPU_LIMIT)):
            if row.name.endswith(f"level 1, {ending}"):
                found.append(of_median(f"{row.name} ({row.unit})", list(row.samples["auto"]), limit))
    return found
