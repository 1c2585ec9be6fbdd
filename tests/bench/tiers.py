"""Whole programs at ``jit0``, ``jit1`` and ``auto`` (ADR-0028): time to their end, and what compiling takes of it.

Each sample is a process of its own, in interleaved rounds, that loads a program through the API, calls it once and
ends. Functions are compiled as they are called. Within a round the order is shuffled.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from tests.bench import programs
from tests.bench.intervals import mean_interval, ratios
from tests.bench.measure import Row, geometric_mean, have_memory, row_of, skipped
from tests.bench.programs import PROGRAMS, RESULT, Answer, Program
from tests.bench.thresholds import Verdict, of_median
from tools import programs as wheels

FIVE: Final = tuple(name for name, program in PROGRAMS.items() if program.guest)
KEPT: Final = ("CPython script", "QuickJS script")
TIERS: Final = ("jit0", "jit1", "auto")
COMPILING: Final = "tier-1"
"""The suite of what compiling takes."""
MEAN_LIMIT: Final = 1.0
EACH_LIMIT: Final = 1.1
COMPILE_LIMIT: Final = 0.5
KEPT_LIMIT: Final = 0.95

T = TypeVar("T")

RUN: Final = """
import sys
import stratavm
tier, path, folder, *arguments = sys.argv[1:]
module = stratavm.Module(path, engine=stratavm.Engine(tier=tier))
with stratavm.Store(module.engine) as store, stratavm.Wasi(
    args=["guest", *arguments], stdout=sys.stdout.buffer, preopens={folder: ("/", "rw")}, engine=module.engine
) as wasi:
    linker = stratavm.Linker(module.engine)
    linker.define_namespaces(wasi.namespaces())
    try:
        linker.instantiate(store, module).exports["_start"]()
    except stratavm.ExitError as stop:
        sys.exit(stop.code)
"""
COMPILE: Final = """
import sys, time
from stratavm.tiers.jit.lazy import LazyCode
spent = [0.0]
def timed(function):
    def call(*arguments):
        begin = time.thread_time()
        try:
            return function(*arguments)
        finally:
            spent[0] += time.thread_time() - begin
    return call
for name in ("compile_at_call", "lift", "lift_loop"):
    setattr(LazyCode, name, timed(getattr(LazyCode, name)))
import stratavm
how, to, path, folder, *arguments = sys.argv[1:]
tier, threads = {"every called function": ("jit1", 1), "all": ("jit1", 1), "auto": ("auto", 0)}[how]
module = stratavm.Module(path, engine=stratavm.Engine(tier=tier, threads=threads, cache=False))
others = time.process_time() - time.thread_time()
if how == "all":
    begin = time.thread_time()
    module.compile_all()
    spent[0] += time.thread_time() - begin
with stratavm.Store(module.engine) as store, stratavm.Wasi(
    args=["guest", *arguments], stdout=sys.stdout.buffer, preopens={folder: ("/", "rw")}, engine=module.engine
) as wasi:
    linker = stratavm.Linker(module.engine)
    linker.define_namespaces(wasi.namespaces())
    code = 0
    try:
        linker.instantiate(store, module).exports["_start"]()
    except stratavm.ExitError as stop:
        code = stop.code
helpers = time.process_time() - time.thread_time() - others
with open(to, "w") as file:
    print((spent[0] + helpers) * 1e3, file=file)
sys.exit(code)
"""


class Sample(NamedTuple):
    """One process, in ms."""

    wall: float
    cpu: float


def measure(rounds: int) -> Iterator[Row]:
    """Rows of each program but for what compiling takes; one that says so where it is missing."""
    return _measured("tiers", lambda bench: bench.rows(max(programs.LEAST_ROUNDS, rounds)))


def measure_compiling(rounds: int) -> Iterator[Row]:
    """What compiling takes of each program, which is a suite of its own: TIER-1 has a command that says whether it is
    met."""
    return _measured(COMPILING, lambda bench: iter((bench.compiling_row(max(programs.LEAST_ROUNDS, rounds)),)))


def _measured(suite: str, rows: Callable[[Bench], Iterator[Row]]) -> Iterator[Row]:
    for name in FIVE:
        path = wheels.find(PROGRAMS[name].wasm)
        if path is None:
            yield skipped(suite, PROGRAMS[name].wasm)
            continue
        with tempfile.TemporaryDirectory() as folder:
            yield from rows(Bench(name, PROGRAMS[name], path, Path(folder)))


class Bench(programs.Bench):
    """One program at every tier, in a folder."""

    def __init__(self, name: str, program: Program, path: Path, root: Path) -> None:
        super().__init__(name, program, path, root)
        *_, self.theirs = self.processes.values()  # with the image cached
        self.rest = self.guests["strata jit0"][4:]
        self.result = root / "compiling"
        self.kept = {"STRATA_CACHE": "on", "XDG_CACHE_HOME": str(root), "XDG_STATE_HOME": str(root)}

    def rows(self, rounds: int) -> Iterator[Row]:
        """Time to the end with all processors and with one, and a second start."""
        tiers = {tier: [sys.executable, "-c", RUN, tier, *self.rest] for tier in TIERS}
        for where, processors in (("", None), (", one processor", min(os.sched_getaffinity(0)))):
            samples = self._sampled(tiers, rounds, lambda command, at=processors: self.sample(command, at))
            for what in Sample._fields:
                values = {tier: [getattr(s, what) for s in found] for tier, found in samples.items()}
                yield row_of("tiers", f"{self.name}, {what}{where}", "ms", values)
        if self.name in KEPT:
            kept = {"auto, code kept": tiers["auto"], "wasmtime, cached image": self.theirs}
            for _ in range(2):  # what the first one keeps; and what the second one, which has it, compiles again
                self.sample(tiers["auto"], None, self.kept)
            samples = self._sampled(kept, rounds, lambda command: self.sample(command, None, self.kept))
            for what in Sample._fields:
                values = {engine: [getattr(s, what) for s in found] for engine, found in samples.items()}
                yield row_of("tiers", f"{self.name}, {what}, second start", "ms", values)

    def compiling_row(self, rounds: int) -> Row:
        """Processor time of compiling until the program ends."""
        ways = ("every called function", "all", "auto")
        compiling = {way: [sys.executable, "-c", COMPILE, way, str(self.result), *self.rest] for way in ways}
        return row_of(COMPILING, f"{self.name}, compiling", "ms", self._sampled(compiling, rounds, self.compiling))

    def _sampled(
        self, commands: Mapping[str, list[str]], rounds: int, sample: Callable[[list[str]], T]
    ) -> dict[str, list[T]]:
        samples: dict[str, list[T]] = {name: [] for name in commands}
        names, orders = list(commands), random.Random(0)
        for _ in range(rounds):
            orders.shuffle(names)
            for name in names:
                samples[name].append(sample(commands[name]))
        return samples

    def compiling(self, command: list[str]) -> float:
        """Processor time of compiling, in ms."""
        self.sample(command, None)
        return float(self.result.read_text())

    def sample(self, command: Sequence[str], processor: int | None, more: Mapping[str, str] | None = None) -> Sample:
        """Run a process; AssertionError unless it says what the others say."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | dict(more or {})
        (self.folder / RESULT).unlink(missing_ok=True)
        pin = None if processor is None else (lambda: os.sched_setaffinity(0, {processor}))
        have_memory()
        before = _children()
        begin = time.perf_counter()
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            preexec_fn=pin,
            timeout=programs.PATIENCE_S,
        )
        wall = time.perf_counter() - begin
        cpu = _children() - before
        self.agree(self._answer(done.returncode, done.stdout))
        return Sample(wall * 1e3, cpu * 1e3)

    def agree(self, answer: Answer) -> None:
        """All processes answer alike."""
        if vars(self).setdefault("answer", answer) != answer:
            raise AssertionError(f"{self.name}: {answer!r}, expected {self.answer!r}")


def _children() -> float:
    """Processor time of all children that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What ADR-0028 states, where it was measured."""
    own = [row for row in rows if row.suite == "tiers" and row.values]
    found = []
    for ending in (", wall", ", wall, one processor"):
        by_name = {row.name: to_the_better(row) for row in own if row.name.endswith(ending)}
        found += [of_median(f"{name}: auto / the better", each, EACH_LIMIT) for name, each in by_name.items()]
        found += _of_mean(f"programs{ending}: auto / the better", list(by_name.values()), MEAN_LIMIT)
    measured = [row for row in rows if row.suite == COMPILING and row.values]
    compiling = [ratios(row, "auto", "every called function") for row in measured]
    found += _of_mean("TIER-1, compiling: auto / every called function at level 1", compiling, COMPILE_LIMIT)
    for row in own:
        if row.name.endswith(", wall, second start"):
            each = ratios(row, "auto, code kept", "wasmtime, cached image")
            found.append(of_median(f"{row.name}: auto / wasmtime", each, KEPT_LIMIT))
    return found


def to_the_better(row: Row) -> list[float]:
    """The ratio of each round to the tier of one level whose median is smaller."""
    return ratios(row, "auto", min(("jit0", "jit1"), key=lambda tier: row.values[tier]))


def _of_mean(what: str, found: Sequence[Sequence[float]], limit: float) -> list[Verdict]:
    """The geometric mean of medians against a limit."""
    if not found:
        return []
    return [Verdict(what, geometric_mean(map(statistics.median, found)), mean_interval(found), limit)]
