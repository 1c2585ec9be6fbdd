"""Pauses of the heap (ADR-0074): what is measured, with which constants beside, and what the limits are.

Its own suite is of the heap alone, over a guest without machine code. Guests with code are in ``collected``.
"""

from __future__ import annotations

import itertools
import math
import os
import statistics
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final, Protocol

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.layout import layout_of
from stratavm.heap.report import log_lines
from stratavm.heap.types import Descriptors
from stratavm.spec import types as T
from tests.bench.measure import Row, geometric_mean
from tests.bench.parts import Parts
from tests.bench.thresholds import Verdict, of_median
from tests.bench.touched import say_touched

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

P999: Final = "p99.9, processor time"
LONGEST: Final = "longest, processor time"
PER_LIVE: Final = "bytes in use by bytes that live"
UNWATCHED: Final = "bytes in use by bytes that live, without a journal"
LEAST_USE: Final = "least share of 10 ms"
RAN: Final = "share of the wall that the thread had"
MEAN: Final = "mix: mean over all loads"
NOBODY: Final = "python"
MACHINE: Final = "a loop that only asks its clock"
GAP_NS: Final = 10_000
"""What that loop takes for a pause, at least."""
"""What the machine does to a thread that has no pauses."""
RATE_SECONDS: Final = 5.0
"""At most, for a run without a journal (ADR-0090)."""

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

    def used_bytes(self) -> int:
        """Of the blocks that are in use now."""

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
    the share of the time, bytes in use by bytes that live, the same without a journal, the least share of 10 ms that
    the guest had, the share of the wall that the thread had, and a line for each pause of a millisecond or more (of our
    policy)."""

    rate: float
    p50: float
    p999: float
    longest: float
    wall: tuple[float, float, float]
    pauses: int
    share: float
    per_live: float
    unwatched: float
    least_use: float
    ran: float
    long: Sequence[str]


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

    def used_bytes(self) -> int:
        """Of the heap."""
        return self.guest.heap.used_bytes

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


def rate_of(load: Load, constants: Constants | None, seconds: float) -> tuple[float, float, float]:
    """Nodes in a microsecond without a journal, the share of the time that pauses take, and the bytes in use between
    steps, of which none knows where in a collection it ends."""
    guest = load.begin(constants, 0)
    stood, made, used = guest.stood_ns(), 0, list[int]()
    began = time.thread_time()
    while (took := time.thread_time() - began) < seconds or not made:
        made += guest.step()
        used.append(guest.used_bytes())
    stood = guest.stood_ns() - stood
    guest.end()
    return made / took / 1e6, stood / took / 1e9, statistics.fmean(used)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them, sorted, does not exceed."""
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def pauses_of(load: Load, constants: Constants | None, seconds: float, least: int = 0) -> tuple[list[Note], float]:
    """All pauses of so long a run, and of so many at least; the share of the wall that the thread had. RuntimeError:
    some were lost, or there are not so many."""
    guest = load.begin(constants, ENTRIES)
    notes = list[Note]()
    began, on_the_wall = time.thread_time(), time.perf_counter()
    while (took := time.thread_time() - began) < seconds or len(notes) < max(least, 1):
        if took > 10 * seconds + PATIENCE_S:
            raise RuntimeError(f"{load.name}: {len(notes)} pauses in {took:.0f} s, and there should be {max(least, 1)}")
        guest.step()
        found = guest.notes()
        if len(found) >= ENTRIES:
            raise RuntimeError(f"{load.name}: pauses were lost, a step has more than {ENTRIES} notes")
        notes += [note for note in found if counts(note)]
    ran = took / (time.perf_counter() - on_the_wall)
    guest.end()
    return notes, ran


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
    notes, ran = pauses_of(load, constants, seconds, least)
    rate, share, used = rate_of(load, constants, min(seconds / 4, RATE_SECONDS))
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
        used / (load.live * NODE_BYTES) if load.live else 0.0,
        least_use(notes),
        ran,
        list(log_lines((note for note in notes if constants is None and note[2] >= MOST_MS * 1e6), notes[0][1])),
    )


@contextmanager
def another_busy() -> Iterator[None]:
    """A process that does nothing all the time, on another processor, if there is one."""
    if len(os.sched_getaffinity(0)) < 2:
        yield
        return
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as loop:
        try:
            yield
        finally:
            loop.kill()


def asks(seconds: float) -> tuple[float, int, float]:
    """What a loop of so many seconds on the wall that only asks its clocks would have of pauses: milliseconds between
    two questions, at most, how often they were ``MOST_MS`` or more, and the least share of 10 ms that is left. What is
    more than moments is the machine's: a hypervisor that had something else to do, and its time was the thread's. Where
    there are processors for it another loop runs beside, as a thread that makes marks does beside a guest: who keeps
    two busy loses more than who keeps one."""
    gaps, cpu, wall = list[Note](), time.thread_time_ns, time.perf_counter_ns
    with another_busy():
        since, before = cpu(), wall()
        end = before + int(seconds * 1e9)
        while before < end:
            now, at = cpu(), wall()
            took = min(now - since, at - before)
            if took >= GAP_NS:
                gaps.append((0, at, took))
            since, before = now, at
    took = max((gap[2] for gap in gaps), default=0)
    return took / 1e6, sum(gap[2] >= MOST_MS * 1e6 for gap in gaps), least_use(gaps)


def measure(rounds: int) -> Iterator[Row]:
    """GC-1 and GC-4 in so many rounds, then GC-2 once."""
    say_touched()
    yield from measure_pauses(SUITE, BESIDE, long_loads(), rounds, Lengths())
    yield from measure_mix(SUITE, BESIDE, mixed_loads(), GRID, Lengths())


def run_part(
    parts: Parts, name: str, load: Load, constants: Constants | None, seconds: float, least: int = 0
) -> Outcome:
    """A run that is a part of a suite; says what came out, and each pause of ours that was long."""
    found = Outcome(**parts.of(name, lambda: asdict(run(load, constants, seconds, least))))
    if constants is None:
        print(f"  {name}: {found.pauses} pauses, p99.9 {found.p999:.3f}, longest {found.longest:.3f} ms", flush=True)
        for line in found.long:
            print(f"  {name}: {line}", flush=True)
    return found


def measure_pauses(
    suite: str, beside: str, loads: Sequence[Load], rounds: int, lengths: Lengths, parts: Parts | None = None
) -> Iterator[Row]:
    """Rows of each load by itself; their names end with what is said beside."""
    parts, outcomes, alone = parts or Parts(), dict[str, list[Outcome]](), list[tuple[float, int, float]]()
    for at in range(rounds):
        longest, often, use = parts.of(f"{MACHINE}, round {at + 1}", lambda: asks(lengths.long / 2))
        print(f"  {MACHINE}, round {at + 1}: longest {longest:.3f} ms, {often} of a millisecond or more", flush=True)
        alone.append((longest, often, use))
        for load in loads:
            one = run_part(parts, f"{load.name}, round {at + 1}", load, None, lengths.long, lengths.pauses)
            outcomes.setdefault(load.name, []).append(one)
    for name, found in outcomes.items():
        for what, unit, value in (
            ("p50, processor time", "ms", [one.p50 for one in found]),
            (P999, "ms", [one.p999 for one in found]),
            (LONGEST, "ms", [one.longest for one in found]),
            *(
                (f"{share} on the wall", "ms", [one.wall[at] for one in found])
                for at, share in enumerate(("p50", "p99", "p99.9"))
            ),
            ("nodes", "/us", [one.rate for one in found]),
            ("pauses", "", [float(one.pauses) for one in found]),
            (f"pauses of {MOST_MS:.0f} ms or more", "", [float(len(one.long)) for one in found]),
            ("share of the time", "", [one.share for one in found]),
            (PER_LIVE, "", [one.per_live for one in found]),
            (UNWATCHED, "", [one.unwatched for one in found]),
            (LEAST_USE, "", [one.least_use for one in found]),
            (RAN, "", [one.ran for one in found]),
        ):
            row = f"{name}, {what} {beside}".rstrip()
            yield Row(suite, row, unit, {OURS: statistics.median(value)}, {OURS: value})
    for what, unit, value in (
        (LONGEST, "ms", [longest for longest, _, _ in alone]),
        (f"times of {MOST_MS:.0f} ms or more", "", [float(often) for _, often, _ in alone]),
        (LEAST_USE, "", [use for _, _, use in alone]),
    ):
        row = f"{MACHINE}, {what} {beside}".rstrip()
        yield Row(suite, row, unit, {NOBODY: statistics.median(value)}, {NOBODY: value})


def measure_mix(
    suite: str,
    beside: str,
    loads: Sequence[Load],
    grid: Sequence[Constants],
    lengths: Lengths,
    parts: Parts | None = None,
) -> Iterator[Row]:
    """Rows of ours beside the baseline and the best of the grid."""
    parts = parts or Parts()

    def all_loads(who: str, constants: Constants | None, seconds: float) -> dict[str, Outcome]:
        return {load.name: run_part(parts, f"{who}: {load.name}", load, constants, seconds) for load in loads}

    ours = all_loads(OURS, None, lengths.compared)
    fixed = all_loads(BASELINE, FIXED, lengths.compared)
    points = {point: all_loads(f"grid: {said(point)}", point, lengths.point) for point in grid}
    best, able = best_point(points, {name: found.rate for name, found in ours.items()})
    other = all_loads(BEST, best, lengths.compared)
    each = {OURS: ours, BASELINE: fixed, BEST: other}
    rows = [
        Row(suite, f"mix: {load.name}, {what} {beside}".rstrip(), unit, values)
        for load in loads
        for what, unit, figure in (
            (P999, "ms", "p999"),
            (LONGEST, "ms", "longest"),
            ("nodes", "/us", "rate"),
        )
        for values in [{who: float(getattr(found[load.name], figure)) for who, found in each.items()}]
    ]
    yield from rows
    for what in (P999, LONGEST):
        means = {who: mean_ratio(rows, what, who) for who in (BASELINE, BEST)}
        yield Row(suite, f"{MEAN}, {what}, ours by theirs {beside}".rstrip(), "", means)
    chosen = (
        ("nursery", "KiB", best.nursery / 1024),
        ("slices", "us", best.slice_ns / 1e3),
        ("factor", "", best.factor / 1e3),
    )
    for what, unit, value in chosen:
        yield Row(suite, f"mix: {what} that is best", unit, {BEST: value})
    yield Row(suite, f"mix: points of {len(grid)} with {LEAST_OF_OURS:.0%} of our throughput", "", {BEST: float(able)})


def said(point: Constants) -> str:
    """Constants in words."""
    return f"{point.nursery / (1 << 20):g} MB, {point.slice_ns // 1000} us, {point.factor / 1000:g}"


def best_point(points: Mapping[Constants, Mapping[str, Outcome]], rates: Mapping[str, float]) -> tuple[Constants, int]:
    """The constants with the least mean pauses of those that are not slower, and of how many; of all, if that is 0."""
    able = [p for p, of in points.items() if all(of[name].rate >= LEAST_OF_OURS * rates[name] for name in rates)]
    best = min(
        able or points,
        key=lambda point: geometric_mean(x for one in points[point].values() for x in (one.longest, one.p999)),
    )
    return best, len(able)


def mean_ratio(mixed: Sequence[Row], what: str, theirs: str, loads: Sequence[str] = ()) -> float:
    """The geometric mean over loads, ours by theirs; infinite where a load has no figure, or one of no time, or where
    one of ``loads`` is not there."""
    own = [row for row in mixed if row.name.startswith("mix: ") and not row.name.startswith(MEAN)]
    names = {row.name.removesuffix(f" {BESIDE}").rsplit(", ", 2)[0] for row in own if row.unit == "ms"}
    names |= {f"mix: {load}" for load in loads}
    found = [row.ratio(OURS, theirs) for row in own if f", {what} " in f"{row.name} "]
    known = [ratio for ratio in found if ratio]
    return geometric_mean(known) if known and len(known) == len(names) else math.inf


def verdicts(rows: Sequence[Row], suite: str = SUITE) -> list[Verdict]:
    """On GC-1 to GC-4, as far as the heap alone shows them."""
    found = list[Verdict]()
    own = [row for row in rows if row.suite == suite]
    for row in own:
        name = row.name.removesuffix(f" {BESIDE}")
        if name.startswith("mix: "):
            continue
        if name.endswith(f", {P999}"):
            found.append(Verdict(f"{suite}, {name}, worst of the rounds", max(row.samples[OURS]), None, MOST_MS, " ms"))
        elif name.endswith(f", {LONGEST}"):
            found.append(of_median(f"{suite}, {name}", row.samples[OURS], MOST_MS, " ms"))
        elif name.startswith("mutate") and name.endswith(UNWATCHED):
            found.append(of_median(f"{suite}, {name}", row.samples[OURS], MOST_PER_LIVE))
    return found + mix_verdicts(own, suite)


def mix_verdicts(own: Sequence[Row], suite: str, loads: Sequence[str] = ()) -> list[Verdict]:
    """On GC-2, of the rows of a suite, which should have these loads."""
    if not any(row.name.startswith("mix: ") for row in own):
        return []
    means = {what: mean_ratio(own, what, BASELINE, loads) for what in (P999, LONGEST)}
    return [
        Verdict(f"{suite}, mix of loads: {what}, ours by {BASELINE}", mean, None, MOST_OF_BASELINE)
        for what, mean in means.items()
    ]
