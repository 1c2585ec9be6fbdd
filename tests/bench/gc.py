"""Pauses of the heap (ADR-0074): what is measured, with which constants beside, and what the limits are.

Its own suite is of the heap alone, over a guest without machine code. Guests with code are in ``collected``.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.layout import layout_of
from stratavm.heap.report import log_lines
from stratavm.heap.types import Descriptors
from stratavm.spec import types as T
from tests.bench.measure import Row, geometric_mean
from tests.bench.thresholds import Verdict, of_median

SUITE: Final = "gc-heap"
OURS: Final = "strata"
BASELINE: Final = "4 MB, 300 us, 1.0"
BEST: Final = "best of the grid"
BESIDE: Final = "(no guest code)"
PAIR: Final = T.STRUCT_ID | 1
REFERENCES: Final = T.ARRAY_ID | 2
NODE_BYTES: Final = 32
TREE: Final = 511
AIM_NS: Final = 500_000
MOST_MS: Final = 1.0
MOST_OF_BASELINE: Final = 0.6
MOST_PER_LIVE: Final = 1.6
LEAST_OF_OURS: Final = 0.95
LIMIT: Final = 4 << 30
ENTRIES: Final = 1 << 20
SOMETHING_NS: Final = 20_000
PATIENCE_S: Final = 20.0
"""Beyond ten times its length no run is waited for."""

WINDOW_NS: Final = 10_000_000
"""Of this time a guest should have most, wherever it begins."""

Step = Callable[[Exerciser], int]
Note = tuple[int, ...]


class Running(Protocol):
    """A guest that goes on beside what lives."""

    def step(self) -> int:
        """Do some of the load; how many nodes that made."""

    def notes(self) -> list[Note]:
        """What the journal has since this was asked last."""

    def stood_ns(self) -> int:
        """Processor time of all pauses so far."""

    def end(self) -> None:
        """It is over. RuntimeError: not all is there that should be."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a guest does.

    Attributes:
        live: nodes that it keeps; 0 where that changes.
        begin: makes a guest that has done a step: with constants or with our policy, with a journal of so many notes
            or, for throughput, of none.
    """

    name: str
    live: int
    begin: Callable[[Constants | None, int], Running]


@dataclass(frozen=True, slots=True)
class Constants:
    """Bytes, nanoseconds and thousandths for ``Heap.fix``."""

    nursery: int
    slice_ns: int
    factor: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds of processor time: of GC-1 for each load, of GC-2, of a point of the grid; how many pauses GC-1 wants."""

    long: float = 60.0
    compared: float = 10.0
    point: float = 2.0
    pauses: int = 10_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures of a run: nodes in a microsecond, milliseconds of processor time, the same on the wall, how many pauses,
    the share of the time, bytes in use by bytes that live, the least share of 10 ms that the guest had."""

    rate: float
    p50: float
    p999: float
    longest: float
    wall: tuple[float, float, float]
    pauses: int
    share: float
    per_live: float
    least_use: float


FIXED: Final = Constants(4 << 20, 300_000, 1000)
GRID: Final = tuple(
    Constants(nursery << 18, slices * 1000, factor)
    for nursery, slices, factor in itertools.product((1, 4, 16, 64), (100, 300, 1000), (500, 1000, 2000))
)


class Alone:
    """The heap with a guest that has no machine code."""

    def __init__(self, work: Step, constants: Constants | None, entries: int) -> None:
        self.work, self.guest = work, new_guest(constants)
        self.step()
        if entries:
            self.guest.heap.watch(entries)

    def step(self) -> int:
        """Some of the load."""
        return self.work(self.guest)

    def notes(self) -> list[Note]:
        """Of the heap."""
        return self.guest.heap.read_journal()

    def stood_ns(self) -> int:
        """Of the heap."""
        return self.guest.heap.stood_ns[0]

    def end(self) -> None:
        """Tests of the heap say what lives."""


def alone(name: str, live: int, work: Step) -> Load:
    """A load of the heap by itself."""
    return Load(name, live, lambda constants, entries: Alone(work, constants, entries))


def trees(depth: int, count: int, replace: bool) -> Step:
    """Trees beside one that lives."""

    def step(guest: Exerciser) -> int:
        guest.load_trees(PAIR, depth, count, replace)
        return count * TREE

    return step


def phases(depth: int, count: int) -> Step:
    """First those that are dropped, then those that stay."""
    first, then = trees(depth, count, False), trees(depth, count, True)
    return lambda guest: first(guest) + then(guest)


def queue(length: int, count: int) -> Step:
    """A list that goes on."""

    def step(guest: Exerciser) -> int:
        guest.load_queue(PAIR, length, count)
        return count

    return step


def table(length: int, count: int) -> Step:
    """Small trees in an array."""

    def step(guest: Exerciser) -> int:
        guest.load_table(PAIR, REFERENCES, length, count)
        return count * 31

    return step


def vectors(most: int, count: int) -> Step:
    """Arrays that grow."""

    def step(guest: Exerciser) -> int:
        guest.load_vectors(PAIR, REFERENCES, most, count)
        return count

    return step


def sized(depth: int, count: int = 10_000) -> list[Load]:
    """Churn and mutate beside a tree that is so deep."""
    live = (2 << depth) - 1
    return [
        alone(f"{name}, {live / 1e6:.1f} M nodes", live, trees(depth, count, name == "mutate"))
        for name in ("churn", "mutate")
    ]


def long_loads() -> list[Load]:
    """Those of GC-1."""
    return [load for depth in (18, 20, 21) for load in sized(depth)]


def mixed_loads() -> list[Load]:
    """Those of GC-2."""
    return [
        *sized(20),
        alone("phases, 2.1 M nodes", (2 << 20) - 1, phases(20, 500)),
        alone("queue", 1_000_000, queue(1_000_000, 2_000_000)),
        alone("table", 0, table(1 << 16, 100_000)),
        alone("vectors", 0, vectors(1 << 18, 1_000_000)),
    ]


def new_guest(constants: Constants | None) -> Exerciser:
    """A guest of a heap with our policy, or with constants."""
    anything = T.FieldType(T.ref(T.ANY), True)
    descriptors = Descriptors()
    descriptors.describe(PAIR, layout_of(T.StructType((anything, anything)), lambda t: True))
    descriptors.describe(REFERENCES, layout_of(T.ArrayType(anything), lambda t: True))
    heap = Heap(descriptors, LIMIT)
    guest = Exerciser(heap, 4, 64)
    heap.by_generations(AIM_NS)
    if constants:
        heap.fix(constants.nursery, constants.slice_ns, constants.factor)
    return guest


def rate_of(load: Load, constants: Constants | None, seconds: float) -> tuple[float, float]:
    """Nodes in a microsecond without a journal, and the share of the time that pauses take."""
    guest = load.begin(constants, 0)
    stood, made = guest.stood_ns(), 0
    began = time.thread_time()
    while (took := time.thread_time() - began) < seconds or not made:
        made += guest.step()
    stood = guest.stood_ns() - stood
    guest.end()
    return made / took / 1e6, stood / took / 1e9


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them, sorted, does not exceed."""
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def pauses_of(load: Load, constants: Constants | None, seconds: float, least: int = 0) -> list[Note]:
    """All pauses of so long a run, and of so many at least. RuntimeError: some were lost, or there are not so many."""
    guest = load.begin(constants, ENTRIES)
    notes = list[Note]()
    began = time.thread_time()
    while (took := time.thread_time() - began) < seconds or len(notes) < max(least, 1):
        if took > 10 * seconds + PATIENCE_S:
            raise RuntimeError(f"{load.name}: {len(notes)} pauses in {took:.0f} s, and there should be {max(least, 1)}")
        guest.step()
        found = guest.notes()
        if len(found) >= ENTRIES:
            raise RuntimeError(f"{load.name}: pauses were lost, a step has more than {ENTRIES} notes")
        notes += [note for note in found if counts(note)]
    guest.end()
    return notes


def counts(note: Note) -> bool:
    """Whether it is a pause that collected something, or was no moment. Roots alone are gathered to count blocks."""
    return note[0] == 0 and (note[2] >= SOMETHING_NS or any(note[7:10]))


def least_use(notes: Sequence[Note], window: int = WINDOW_NS) -> float:
    """The least share of any stretch of so many nanoseconds that pauses leave to the guest. Where on the wall a pause
    ended says its note, how long it was its processor time."""
    ends = [note[1] for note in notes]
    took = [note[2] for note in notes]
    begins = [end - ns for end, ns in zip(ends, took, strict=True)]
    before = [0, *itertools.accumulate(took)]

    def spent(begin: int) -> int:
        """In the stretch that begins there."""
        first, last = bisect_left(ends, begin), bisect_left(begins, begin + window)
        if last <= first:
            return 0
        cut = max(0, begin - begins[first]) + max(0, ends[last - 1] - begin - window)
        return before[last] - before[first] - cut

    most = max((spent(at) for at in (*begins, *(end - window for end in ends))), default=0)
    return 1 - min(most, window) / window


def run(load: Load, constants: Constants | None, seconds: float, least: int = 0) -> Outcome:
    """Pauses and rate, each in a run of its own."""
    notes = pauses_of(load, constants, seconds, least)
    rate, share = rate_of(load, constants, seconds / 4)
    for line in log_lines(note for note in notes if constants is None and note[2] >= MOST_MS * 1e6):
        print(f"  {load.name}: {line}", flush=True)
    took, wall = (sorted(note[at] / 1e6 for note in notes) for at in (2, 3))
    return Outcome(
        rate,
        percentile(took, 0.5),
        percentile(took, 0.999),
        took[-1],
        (percentile(wall, 0.5), percentile(wall, 0.99), percentile(wall, 0.999)),
        len(notes),
        share,
        statistics.fmean(note[4] for note in notes) / (load.live * NODE_BYTES) if load.live else 0.0,
        least_use(notes),
    )


def measure(rounds: int) -> Iterator[Row]:
    """GC-1 and GC-4 in so many rounds, then GC-2 once."""
    yield from measure_pauses(SUITE, BESIDE, long_loads(), rounds, Lengths())
    yield from measure_mix(SUITE, BESIDE, mixed_loads(), GRID, Lengths())


def measure_pauses(suite: str, beside: str, loads: Sequence[Load], rounds: int, lengths: Lengths) -> Iterator[Row]:
    """Rows of each load by itself; their names end with what is said beside."""
    for load in loads:
        found = [run(load, None, lengths.long, lengths.pauses) for _ in range(rounds)]
        for what, unit, value in (
            ("p50", "ms", [one.p50 for one in found]),
            ("p99.9", "ms", [one.p999 for one in found]),
            ("longest", "ms", [one.longest for one in found]),
            *(
                (f"{name} on the wall", "ms", [one.wall[at] for one in found])
                for at, name in enumerate(("p50", "p99", "p99.9"))
            ),
            ("nodes", "/us", [one.rate for one in found]),
            ("pauses", "", [float(one.pauses) for one in found]),
            ("share of the time", "", [one.share for one in found]),
            ("bytes in use by bytes that live", "", [one.per_live for one in found]),
            ("least share of 10 ms", "", [one.least_use for one in found]),
        ):
            name = f"{load.name}, {what} {beside}".rstrip()
            yield Row(suite, name, unit, {OURS: statistics.median(value)}, {OURS: value})


def measure_mix(
    suite: str, beside: str, loads: Sequence[Load], grid: Sequence[Constants], lengths: Lengths
) -> Iterator[Row]:
    """Rows of ours beside the baseline and the best of the grid."""
    ours = {load.name: run(load, None, lengths.compared) for load in loads}
    best = best_point(loads, grid, {name: found.rate for name, found in ours.items()}, lengths.point)
    fixed = {load.name: run(load, FIXED, lengths.compared) for load in loads}
    other = {load.name: run(load, best, lengths.compared) for load in loads}
    for load in loads:
        each = {OURS: ours[load.name], BASELINE: fixed[load.name], BEST: other[load.name]}
        for what, unit, field in (("p99.9", "ms", "p999"), ("longest", "ms", "longest"), ("nodes", "/us", "rate")):
            name = f"mix: {load.name}, {what} {beside}".rstrip()
            yield Row(suite, name, unit, {who: getattr(found, field) for who, found in each.items()})
    chosen = (
        ("nursery", "KiB", best.nursery / 1024),
        ("slices", "us", best.slice_ns / 1e3),
        ("factor", "", best.factor / 1e3),
    )
    for what, unit, value in chosen:
        yield Row(suite, f"mix: {what} that is best", unit, {BEST: value})


def best_point(loads: Sequence[Load], grid: Sequence[Constants], rates: dict[str, float], seconds: float) -> Constants:
    """The constants with the least mean pauses of those that are not slower."""
    found = {point: {load.name: run(load, point, seconds) for load in loads} for point in grid}
    able = [p for p, of in found.items() if all(of[name].rate >= LEAST_OF_OURS * rates[name] for name in rates)]
    return min(
        able or found,
        key=lambda point: geometric_mean(x for one in found[point].values() for x in (one.longest, one.p999)),
    )


def verdicts(rows: Sequence[Row], suite: str = SUITE) -> list[Verdict]:
    """On GC-1 to GC-4: as far as the heap alone shows them, or over guests with code."""
    found = list[Verdict]()
    own = [row for row in rows if row.suite == suite]
    for row in own:
        name = row.name.removesuffix(f" {BESIDE}")
        if name.startswith("mix: "):
            continue
        if name.endswith(", p99.9"):
            found.append(Verdict(f"{suite}, {name}, worst of the rounds", max(row.samples[OURS]), None, MOST_MS, " ms"))
        elif name.endswith(", longest"):
            found.append(of_median(f"{suite}, {name}", row.samples[OURS], MOST_MS, " ms"))
        elif name.startswith("mutate") and name.endswith("bytes that live"):
            found.append(of_median(f"{suite}, {name}", row.samples[OURS], MOST_PER_LIVE))
    mixed = [row for row in own if row.name.startswith("mix: ") and row.unit == "ms"]
    if mixed:
        for what in ("p99.9", "longest"):
            ratios = [row.ratio(OURS, BASELINE) for row in mixed if f", {what} " in f"{row.name} "]
            known = [ratio for ratio in ratios if ratio]
            mean = geometric_mean(known) if 2 * len(known) == len(mixed) else math.inf  # a load without a figure
            found.append(Verdict(f"{suite}, mix of loads: {what}, ours by {BASELINE}", mean, None, MOST_OF_BASELINE))
    return found
