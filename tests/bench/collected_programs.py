"""Suite ``gc-programs``: programs that collect their garbage, few of them ours, beside V8 and wasmtime (ADR-0082)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests import witnesses
from tests.bench.collected_loads import binary
from tests.bench.collected_peers import CONFIGURATIONS, V8, WASMTIME, Ask, Job, in_python, peers, turned
from tests.bench.gc import OURS
from tests.bench.intervals import ratios
from tests.bench.measure import Row, row_of
from tests.bench.parts import Parts, parts_of
from tests.bench.thresholds import Verdict, of_median
from tests.programs import outside

SUITE: Final = "gc-programs"
RUNS: Final = 5
"""Of a program in each round."""
MOST: Final = {V8: 1.5, WASMTIME: 0.5}
"""Of their time."""
WALL: Final = "wall clock"
CPU: Final = "processor time"


@dataclass(frozen=True, slots=True)
class Program:
    """What is measured.

    Attributes:
        file: the guest: the name of a text of ours, of a source in MoonBit, or of a guest of Sightglass.
        job: what is done with it.
        given: the file that a guest of Sightglass reads.
        seconds: about what a round of it takes, on all engines.
    """

    file: str
    job: Job
    seconds: float
    given: str = ""


PROGRAMS: Final[dict[str, Program]] = {
    "binary-trees 16": Program("binary-trees", {"kind": "call", "run": ["run", [16]]}, 15),
    "GCBench 18 16 500,000": Program("gcbench", {"kind": "call", "run": ["run", [18, 16, 500_000]]}, 15),
    "splay": Program("splay", {"kind": "marks"}, 15, "8000,540,5"),
    "Richards in Kotlin": Program("kotlin-richards", {"kind": "marks"}, 5, "120"),
    "MoonBit: shapes × 500": Program("shapes", {"kind": "print", "times": 500}, 5),
    "MoonBit: paths × 50": Program("paths", {"kind": "print", "times": 50}, 5),
    "MoonBit: numbers × 100": Program("numbers", {"kind": "print", "times": 100}, 5),
}


def measure(rounds: int, resume: bool = False) -> Iterator[Row]:
    """All programs."""
    yield from measure_programs(PROGRAMS, rounds, RUNS, parts_of(SUITE, resume, runs=RUNS))


def measure_programs(programs: Mapping[str, Program], rounds: int, runs: int, parts: Parts) -> Iterator[Row]:
    """The least time of each program on each engine, in so many rounds. A program that is not here has no row."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        jobs = {name: job for name, one in programs.items() if (job := prepared(name, one, runs, folder))}
        engines = peers()
        if V8 not in engines:
            print(f"  {SUITE}: no node of version {witnesses.LEAST_NODE} or later", flush=True)
        found: dict[str, dict[str, list[Any]]] = {name: {who: [] for who in engines} for name in jobs}
        asked = {name: {**engines, WASMTIME: fastest(name, job, parts)} for name, job in jobs.items()}
        for at in range(rounds):
            for name, job in jobs.items():
                for who, ask in turned(asked[name], at):
                    one = parts.of(f"{name}, round {at + 1}, {who}", partial(ask, job))
                    print(f"  {name}, round {at + 1}, {who}: {one['wall']:.2f} ms", flush=True)
                    found[name][who].append(one)
    for name, each in found.items():
        yield from rows_of(name, each)


def rows_of(name: str, found: Mapping[str, Sequence[Any]]) -> Iterator[Row]:
    """Of a program. RuntimeError: the engines do not agree about what it comes to."""
    said = {one["said"] for all_ in found.values() for one in all_}
    if len(said) != 1:
        raise RuntimeError(f"{name}: engines say {sorted(said)}")
    for what, clock in ((WALL, "wall"), (CPU, "cpu")):
        yield row_of(SUITE, f"{name}, {what}", "ms", {who: [one[clock] for one in all_] for who, all_ in found.items()})


def fastest(name: str, job: Job, parts: Parts) -> Ask:
    """wasmtime as this program likes it best."""
    took: dict[str, float] = {}
    for configuration in CONFIGURATIONS:
        ask = in_python(WASMTIME, configuration)
        took[configuration] = parts.of(f"{name}, {WASMTIME} {configuration}", partial(ask, job))["cpu"]
    best = min(took, key=lambda configuration: took[configuration])
    print(f"  {name}: {WASMTIME} {best}, of " + ", ".join(f"{c} {ms:.1f} ms" for c, ms in took.items()), flush=True)
    return in_python(WASMTIME, best)


def prepared(name: str, program: Program, runs: int, folder: Path) -> Job | None:
    """The job with its files; None, and why, where the guest is not here and cannot be made."""
    own = folder / program.file
    own.mkdir()
    job = {**program.job, "module": str(own / "guest.wasm"), "runs": runs}
    if job["kind"] == "call":
        (own / "guest.wasm").write_bytes(binary(program.file))
        return job
    if job["kind"] == "marks":
        found = witnesses.find("sightglass", f"{program.file}.wasm")
        if found is None:
            print(f"  {name}: no {program.file}.wasm of Sightglass", flush=True)
            return None
        (own / "guest.wasm").write_bytes(witnesses.core_module(found.read_bytes()))
        (own / "default.input").write_text(program.given)
        return {**job, "folder": str(own)}
    if not outside.is_here():
        print(f"  {name}: no compiler of MoonBit", flush=True)
        return None
    outside.Compiler().program(f"{program.file}.mbt", own / "guest.wasm")
    beside = {each: own / f"{each}.wasm" for each in ("sink", "often")}
    for each, path in beside.items():
        path.write_bytes(binary(each))
    return {**job, **{each: str(path) for each, path in beside.items()}}


def seconds(rounds: int) -> float:
    """About how long the suite takes."""
    return sum(program.seconds for program in PROGRAMS.values()) * (rounds + 1)


def verdicts(rows: Sequence[Row], only: str = "") -> list[Verdict]:
    """On the time of each program, if the suite has run; where there is no figure the limit is missed."""
    own = {row.name: row for row in rows if row.suite == SUITE}
    if not own:
        return []
    found = list[Verdict]()
    for name in PROGRAMS:
        if only in name:
            row = own.get(f"{name}, {WALL}", Row(SUITE, name, "ms", {}))
            for who, most in MOST.items():
                both = row.samples.get(OURS) and row.samples.get(who)
                each = ratios(row, OURS, who) if both else [float("inf")]
                found.append(of_median(f"{SUITE}, {name}: time by {who}'s", each, most))
    return found
