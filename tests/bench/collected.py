"""Suites ``gc``, ``gc-beside`` and ``gc-mix``: guests whose code makes and writes objects (ADR-0079, ADR-0082).

``python -m tests.bench.collected --seconds 2`` is a short form for tries; its figures count for nothing. ``--plan``
says which suites there are, how each is run at its full length, and how long that takes.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.bench import collected_programs, gc
from tests.bench.collected_loads import LOADS, MILLIONS, Work, binary, load_of, long_works, mixed_works
from tests.bench.collected_peers import V8, peers, turned
from tests.bench.gc import GRID, LEAST_USE, LONGEST, OURS, P999, RAN, UNWATCHED, Lengths
from tests.bench.intervals import ratios
from tests.bench.measure import Row, row_of
from tests.bench.parts import Parts, parts_of
from tests.bench.thresholds import Verdict, missed, of_median
from tests.bench.touched import say_touched

SUITE: Final = "gc"
BESIDE: Final = "gc-beside"
MIX: Final = "gc-mix"
PAUSES: Final = frozenset((SUITE, MIX))
"""Suites by the thread's processor time, which measure nothing but in memory that was touched before (ADR-0096)."""
LENGTHS: Final = Lengths()
PEER_SECONDS: Final = 3.0
"""Of steps, and of ops."""
RATE: Final = "nodes, wall clock"
LEAST_RATE: Final = {"churn": 0.8, "mutate": 1.5}
"""Of V8's."""
LEAST_USES: Final = {"churn": 0.8, "mutate": 0.3}
LEAST_RAN: Final = 0.95
"""Of the wall, for use of 10 ms to be the guest's."""
ROUNDS: Final = {SUITE: 5, BESIDE: 3, MIX: 1, collected_programs.SUITE: 5}
SETUP_S: Final = 1.0
"""To plant what lives, about."""


def measure(rounds: int, resume: bool = False) -> Iterator[Row]:
    """GC-1, GC-3, GC-4 and use of 10 ms: of each load, in so many rounds."""
    say_minutes(SUITE, rounds)
    say_touched()
    yield from measure_long(long_works(), rounds, LENGTHS, parts_of(SUITE, resume, **asdict(LENGTHS)))


def measure_long(works: Sequence[Work], rounds: int, lengths: Lengths, parts: Parts) -> Iterator[Row]:
    """The same of some loads."""
    yield from gc.measure_pauses(SUITE, "", [load_of(work) for work in works], rounds, lengths, parts)


def measure_mix(rounds: int, resume: bool = False) -> Iterator[Row]:
    """GC-2 with all of the grid, once, whatever the rounds."""
    say_minutes(MIX, 1)
    say_touched()
    parts = parts_of(MIX, resume, **asdict(LENGTHS))
    yield from gc.measure_mix(MIX, "", [load_of(work) for work in mixed_works()], GRID, LENGTHS, parts)


def measure_beside(rounds: int, resume: bool = False) -> Iterator[Row]:
    """What others do of the same loads."""
    say_minutes(BESIDE, rounds)
    yield from measure_peers(mixed_works(), rounds, PEER_SECONDS, parts_of(BESIDE, resume, seconds=PEER_SECONDS))


def measure_peers(works: Sequence[Work], rounds: int, seconds: float, parts: Parts) -> Iterator[Row]:
    """What is made in a microsecond, and the longest op, on each engine."""
    with tempfile.TemporaryDirectory() as temporary:
        module = Path(temporary, "loads.wasm")
        module.write_bytes(binary(LOADS))
        engines = peers()
        found: dict[str, dict[str, list[Any]]] = {work.name: {name: [] for name in engines} for work in works}
        for at in range(rounds):
            for work in works:
                job = {"kind": "load", "module": str(module), "seconds": seconds, "setup": work.setup}
                job |= {"step": work.step[0], "op": work.op[0]}
                for name, ask in turned(engines, at):
                    one = parts.of(f"{work.name}, round {at + 1}, {name}", partial(ask, job))
                    print(f"  {work.name}, round {at + 1}, {name}: {rate('wall', work, one):.1f} nodes/us", flush=True)
                    found[work.name][name].append(one)
    for work in works:
        for what, unit, of in FIGURES:
            samples = {who: [of(work, one) for one in each] for who, each in found[work.name].items()}
            yield row_of(BESIDE, f"{work.name}, {what}", unit, samples)


def rate(clock: str, work: Work, found: Any) -> float:
    """Nodes in a microsecond."""
    return float(found["step"]["times"] * work.step[1] / found["step"][clock] / 1e3)


FIGURES: Final[tuple[tuple[str, str, Callable[[Work, Any], float]], ...]] = (
    (RATE, "/us", partial(rate, "wall")),
    ("nodes, processor time", "/us", partial(rate, "cpu")),
    ("longest op, wall clock", "ms", lambda work, found: float(found["op"]["longest"])),
)


# ---- limits ----


def verdicts(rows: Sequence[Row], only: str = "") -> list[Verdict]:
    """On all limits of the suites that have run, of loads and programs with ``only`` in their names. A limit whose
    figure is not there is missed."""
    found = list[Verdict]()
    for suite, of in ((SUITE, long_verdicts), (BESIDE, rate_verdicts), (MIX, mix_verdicts)):
        own = {row.name: row for row in rows if row.suite == suite}
        found += of(own, only) if own else ()
    return [*found, *collected_programs.verdicts(rows, only)]


def long_verdicts(own: dict[str, Row], only: str) -> Iterator[Verdict]:
    """On pauses, memory and use of 10 ms."""
    for work in long_works():
        if only not in work.name:
            continue

        def samples(what: str, otherwise: float, name: str = work.name) -> Sequence[float]:
            row = own.get(f"{name}, {what}")
            return (row.samples.get(OURS) if row else None) or [otherwise]

        what = f"{SUITE}, {work.name}"
        worst = max(samples(P999, math.inf))
        yield Verdict(f"{what}, {P999}, worst of the rounds", worst, None, gc.MOST_MS, " ms")
        yield of_median(f"{what}, {LONGEST}", samples(LONGEST, math.inf), gc.MOST_MS, " ms")
        yield of_median(f"{what}, {UNWATCHED}", samples(UNWATCHED, math.inf), gc.MOST_PER_LIVE)
        ran = min(samples(RAN, 0))
        use, beside = min(samples(LEAST_USE, -math.inf)), ""
        if ran < LEAST_RAN:
            use, beside = -math.inf, f": no figure, the thread had {ran:.2f} of the wall"
        least = LEAST_USES[work.name.split(",")[0]]
        yield Verdict(f"{what}, {LEAST_USE}, worst of the rounds{beside}", use, None, least, "", True)


def rate_verdicts(own: dict[str, Row], only: str) -> Iterator[Verdict]:
    """On nodes in a microsecond beside V8."""
    for load, least in LEAST_RATE.items():
        name = f"{load}, {MILLIONS}"
        if only in name:
            row = own.get(f"{name}, {RATE}")
            both = row and row.samples.get(OURS) and row.samples.get(V8)
            each = ratios(row, OURS, V8) if row and both else [-math.inf]
            yield of_median(f"{BESIDE}, {name}: rate by {V8}'s", each, least, "", True)


def mix_verdicts(own: dict[str, Row], only: str) -> Iterator[Verdict]:
    """On pauses by those of constants."""
    yield from gc.mix_verdicts(list(own.values()), MIX, [work.name for work in mixed_works() if only in work.name])


# ---- how long it takes, and tries ----


def measure_programs(rounds: int, resume: bool = False) -> Iterator[Row]:
    """Programs that were not written for this."""
    say_minutes(collected_programs.SUITE, rounds)
    yield from collected_programs.measure(rounds, resume)


def say_minutes(suite: str, rounds: int) -> None:
    """How long it will take."""
    print(f"  {suite}: {plan({**ROUNDS, suite: rounds})[suite]:.0f} minutes, less what was measured before", flush=True)


def plan(rounds: Mapping[str, int] = ROUNDS) -> dict[str, float]:
    """Minutes of each suite, in so many rounds."""
    points = len(mixed_works()) * (LENGTHS.point * 5 / 4 + SETUP_S / 2)
    compared = len(mixed_works()) * (LENGTHS.compared * 5 / 4 + SETUP_S)
    seconds = {
        SUITE: rounds[SUITE] * (len(long_works()) * (LENGTHS.long + gc.RATE_SECONDS + SETUP_S) + LENGTHS.long / 2),
        BESIDE: rounds[BESIDE] * len(mixed_works()) * 3 * (2 * PEER_SECONDS + SETUP_S),
        MIX: 3 * compared + len(GRID) * points,
        collected_programs.SUITE: collected_programs.seconds(rounds[collected_programs.SUITE]),
    }
    return {suite: each / 60 for suite, each in seconds.items()}


def said_of_plan() -> Iterator[str]:
    """A line for each suite."""
    planned = plan()
    for suite, minutes in planned.items():
        clock = "by processor time, beside something else" if suite in PAUSES else "on a quiet machine"
        command = f"python -m tests.bench --only {suite} --rounds {ROUNDS[suite]} --write"
        yield f"{minutes:4.0f} minutes  {command}  ({clock})"
    yield f"{sum(planned.values()):4.0f} minutes  all of it; with --resume a suite goes on where it was ended"


def tried(options: argparse.Namespace) -> Iterator[Row]:
    """A part of the suites, shorter."""
    grid = GRID if options.point else (gc.FIXED,)
    lengths = Lengths(options.seconds, options.compared or options.seconds, options.point or options.seconds, 0)
    mixed = [work for work in mixed_works() if options.only in work.name]
    programs = {name: one for name, one in collected_programs.PROGRAMS.items() if options.only in name}
    suites: dict[str, Callable[[], Iterator[Row]]] = {
        SUITE: lambda: measure_long(
            [work for work in long_works() if options.only in work.name], options.rounds, lengths, Parts()
        ),
        BESIDE: lambda: measure_peers(mixed, options.rounds, options.peers, Parts()),
        MIX: lambda: gc.measure_mix(MIX, "", [load_of(work) for work in mixed], grid, lengths) if mixed else iter(()),
        collected_programs.SUITE: lambda: collected_programs.measure_programs(
            programs, options.rounds, options.runs, Parts()
        ),
    }
    wanted = options.suite or tuple(suites)
    if PAUSES & set(wanted):
        say_touched()
    for suite, rows in suites.items():
        if suite in wanted:
            yield from rows()


def main() -> int:
    """The plan, or a try."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.collected", description=__doc__)
    parser.add_argument("--plan", action="store_true", help="what is run at full length, and how long it takes")
    parser.add_argument("--suite", choices=tuple(ROUNDS), action="append", help="a suite; given again, one more")
    parser.add_argument("--seconds", type=float, default=2.0, help="of processor time, for each load (60)")
    parser.add_argument("--compared", type=float, help="the same beside constants (10)")
    parser.add_argument("--point", type=float, default=0.0, help="for a point of the grid (2); 0: the baseline alone")
    parser.add_argument("--peers", type=float, default=1.0, help="beside others (3)")
    parser.add_argument("--runs", type=int, default=2, help="of a program in each round (5)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds (5)")
    parser.add_argument("--only", default="", help="loads and programs with this in their names")
    options = parser.parse_args()
    if options.plan:
        print("\n".join(said_of_plan()))
        return 0
    rows = list[Row]()
    for row in tried(options):
        print(f"{row.name:64} " + "  ".join(f"{who} {value:.3f} {row.unit}" for who, value in row.values.items()))
        rows.append(row)
    stated = verdicts(rows, options.only)
    for verdict in stated:
        print(verdict)
    return int(bool(missed(stated)))


if __name__ == "__main__":
    sys.exit(main())
