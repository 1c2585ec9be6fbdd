"""Suite ``gc``: guests whose code makes and writes objects, beside V8 and wasmtime (ADR-0079).

``python -m tests.bench.collected --seconds 2`` is a short form for tries; its figures count for nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from stratavm import GcConfig, GcConstants
from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import INTERPRETED
from stratavm.module.parser import parse_wat_to_bytes
from tests import witnesses
from tests.bench import gc
from tests.bench.gc import GRID, OURS, TREE, Constants, Lengths, Load
from tests.bench.measure import Row, row_of
from tests.bench.thresholds import Verdict, missed

SUITE: Final = "gc"
FOLDER: Final = Path(__file__).with_name("collected")
LOADS: Final = "loads"
V8: Final = "V8"
WASMTIME: Final = "wasmtime"
PATIENCE_S: Final = 900
PEER_SECONDS: Final = 5.0
"""Of steps, and of ops."""
PROGRAMS: Final[dict[str, tuple[int, ...]]] = {"binary-trees": (16,), "gcbench": (18, 16, 500_000)}
RUNS: Final = 3
"""Of a program in each round."""

Call = tuple[str, tuple[int, ...]]
"""An export, and what it is given."""


@dataclass(frozen=True, slots=True)
class Work:
    """A load as calls of the module.

    Attributes:
        name: of the load.
        live: nodes that it keeps; 0 where that changes.
        step: some of it, and how many nodes that makes.
        op: a little of it, and how many nodes that makes.
        counted: the export that counts what lives.
        setup: what comes first.
    """

    name: str
    live: int
    step: tuple[Call, int]
    op: tuple[Call, int]
    counted: str
    setup: Call | None = None


def sized(depth: int, count: int = 10_000) -> list[Work]:
    """Churn and mutate beside a tree that is so deep."""
    live, plant = (2 << depth) - 1, ("plant", (depth,))
    return [
        Work(
            f"{name}, {live / 1e6:.1f} M nodes",
            live,
            ((name, (depth, count)), count * TREE),
            ((name, (depth, 1)), TREE),
            "planted",
            plant,
        )
        for name in ("churn", "mutate")
    ]


def phases(depth: int, count: int) -> Work:
    """First trees that are dropped, then trees that stay."""
    live, calls = (2 << depth) - 1, (("phases", (depth, count)), ("phases", (depth, 1)))
    step, op = calls
    return Work(
        f"phases, {live / 1e6:.1f} M nodes",
        live,
        (step, 2 * count * TREE),
        (op, 2 * TREE),
        "planted",
        ("plant", (depth,)),
    )


def long_works() -> list[Work]:
    """Those of GC-1."""
    return [work for depth in (18, 20, 21) for work in sized(depth)]


def mixed_works() -> list[Work]:
    """Those of GC-2."""
    return [
        *sized(20),
        phases(20, 500),
        Work(
            "queue",
            1_000_000,
            (("queue", (1_000_000, 2_000_000)), 2_000_000),
            (("queue", (1_000_000, 1_000)), 1_000),
            "listed",
        ),
        Work("table", 0, (("table", (1 << 16, 100_000)), 3_100_000), (("table", (1 << 16, 16)), 16 * 31), "held"),
        Work(
            "vectors",
            0,
            (("vectors", (1 << 18, 1_000_000)), 1_000_000),
            (("vectors", (1 << 18, 1_000)), 1_000),
            "filled",
        ),
    ]


@cache
def binary(name: str) -> bytes:
    """A guest's module."""
    return parse_wat_to_bytes((FOLDER / f"{name}.wat").read_text())


def config(constants: Constants | None, entries: int) -> GcConfig:
    """Our policy, or constants; with a journal of so many notes."""
    if constants is None:
        return GcConfig(journal_entries=entries)
    fixed = GcConstants(constants.nursery, constants.slice_ns // 1000, constants.factor / 1000)
    return GcConfig(generations=True, constants=fixed, journal_entries=entries)


class Guest:
    """A load that runs in a store of its own."""

    def __init__(self, work: Work, constants: Constants | None, entries: int) -> None:
        self.work, self.watched = work, entries > 0
        options = {"gc": config(constants, entries)}
        self.store = Store(Engine(Config(tier="jit1", strict=True, features=INTERPRETED, **options)))
        module = Module(binary(LOADS), self.store.engine)
        self.exports: Any = Linker(self.store.engine).instantiate(self.store, module).exports
        if work.setup:
            self.call(work.setup)
        self.step()
        self.notes()

    def call(self, call: Call) -> Any:
        """One of the module's functions."""
        name, given = call
        return self.exports[name](*given)

    def step(self) -> int:
        """Some of the load."""
        call, made = self.work.step
        self.call(call)
        return made

    def notes(self) -> list[gc.Note]:
        """Of the store's journal."""
        return list(self.store.gc_journal()) if self.watched else []

    def stood_ns(self) -> int:
        """Of all pauses."""
        metrics = self.store.gc_metrics()
        return int(metrics.stood_ns) if metrics else 0

    def end(self) -> None:
        """Count what lives. RuntimeError: it is not what the load keeps."""
        found = self.exports[self.work.counted]()
        wanted = self.work.live
        if wanted and found != wanted:
            raise RuntimeError(f"{self.work.name}: {found} nodes live, and {wanted} should")
        self.store.close()


def load_of(work: Work) -> Load:
    """The load as the suite of the heap measures it."""
    return Load(work.name, work.live, partial(Guest, work))


def measure(rounds: int) -> Iterator[Row]:
    """All of it at its full length."""
    yield from measure_all(rounds, Lengths(), PEER_SECONDS, GRID, "")


def measure_all(rounds: int, lengths: Lengths, peers: float, grid: Sequence[Constants], only: str) -> Iterator[Row]:
    """GC-1 and GC-4 in so many rounds, what others do, GC-2, programs; of the loads whose name has ``only`` in it."""
    mixed = [work for work in mixed_works() if only in work.name]
    long = [load_of(work) for work in long_works() if only in work.name]
    yield from gc.measure_pauses(SUITE, "", long, rounds, lengths)
    yield from measure_peers(mixed, rounds, peers)
    if grid and mixed:
        yield from gc.measure_mix(SUITE, "", [load_of(work) for work in mixed], grid, lengths)
    for name, given in PROGRAMS.items():
        if only in name:
            yield measure_program(name, given, rounds)


# ---- beside others ----


def peers_of(module: Path) -> dict[str, Callable[[str, list[Any], float], Any]]:
    """Engines that run here, each in a process: what is done by name, with calls, for so many seconds."""

    def by_python(engine: str, kind: str, calls: list[Any], seconds: float) -> Any:
        text = json.dumps({"engine": engine, "kind": kind, "module": str(module), "calls": calls, "seconds": seconds})
        return output([sys.executable, "-m", "tests.bench.collected", "--peer", text])

    def by_node(node: Path, kind: str, calls: list[Any], seconds: float) -> Any:
        return output([node, FOLDER / "peer.cjs", kind, module, json.dumps(calls), seconds])

    found = {OURS: partial(by_python, OURS), WASMTIME: partial(by_python, WASMTIME)}
    node = witnesses.find_node()
    return {**found, V8: partial(by_node, node)} if node else found


def output(command: Sequence[object]) -> Any:
    """The JSON that a process prints at its end."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_peers(works: Sequence[Work], rounds: int, seconds: float) -> Iterator[Row]:
    """What is made in a microsecond, and the longest op, on each engine."""
    with tempfile.TemporaryDirectory() as temporary:
        module = Path(temporary, "loads.wasm")
        module.write_bytes(binary(LOADS))
        peers = peers_of(module)
        for work in works:
            calls = [work.setup, work.step[0], work.op[0]]
            found: dict[str, list[Any]] = {name: [] for name in peers}
            for _ in range(rounds):
                for name, ask in peers.items():
                    found[name].append(ask("load", calls, seconds))
            for what, unit, of in FIGURES:
                samples = {who: [of(work, one) for one in each] for who, each in found.items()}
                yield row_of(SUITE, f"beside: {work.name}, {what}", unit, samples)


def rate(clock: str, work: Work, found: Any) -> float:
    """Nodes in a microsecond."""
    return float(found["steps"]["times"] * work.step[1] / found["steps"][clock] / 1e3)


FIGURES: Final[tuple[tuple[str, str, Callable[[Work, Any], float]], ...]] = (
    ("nodes, wall clock", "/us", partial(rate, "wall")),
    ("nodes, processor time", "/us", partial(rate, "cpu")),
    ("longest op, wall clock", "ms", lambda work, found: float(found["ops"]["longest"])),
)


def measure_program(name: str, given: tuple[int, ...], rounds: int) -> Row:
    """The least time of a program on each engine. RuntimeError: they do not agree about what it comes to."""
    with tempfile.TemporaryDirectory() as temporary:
        module = Path(temporary, f"{name}.wasm")
        module.write_bytes(binary(name))
        peers = peers_of(module)
        found: dict[str, list[Any]] = {who: [] for who in peers}
        for _ in range(rounds):
            for who, ask in peers.items():
                found[who].append(ask("program", [["run", given]], RUNS))
    said = {one["said"] for all_ in found.values() for one in all_}
    if len(said) != 1:
        raise RuntimeError(f"{name}: engines say {said}")
    title = f"{name} {' '.join(map(str, given))}"
    return row_of(SUITE, title, "ms", {who: [one["wall"] for one in all_] for who, all_ in found.items()})


def during(call: Callable[[], object], seconds: float) -> dict[str, float]:
    """Until so many seconds have passed: how often, wall and processor milliseconds, the longest."""
    cpu, began, times, longest = time.process_time(), time.perf_counter(), 0, 0.0
    at = began
    while times == 0 or at - began < seconds:
        before = at
        call()
        at = time.perf_counter()
        longest = max(longest, at - before)
        times += 1
    used = time.process_time() - cpu
    return {"times": times, "wall": (at - began) * 1e3, "cpu": used * 1e3, "longest": longest * 1e3}


def as_peer(asked: dict[str, Any]) -> dict[str, Any]:
    """What this process, an engine of Python, does of a load or a program."""
    module = Path(asked["module"]).read_bytes()
    caller = strata_caller(module) if asked["engine"] == OURS else wasmtime_caller(module)

    def call(one: list[Any]) -> Any:
        name, given = one
        return caller(name, given)

    if asked["kind"] == "program":
        (run,) = asked["calls"]
        said, walls = None, list[float]()
        for _ in range(int(asked["seconds"])):
            began = time.perf_counter()
            said = call(run)
            walls.append((time.perf_counter() - began) * 1e3)
        return {"said": str(said), "wall": min(walls)}
    setup, step, op = asked["calls"]
    if setup:
        call(setup)
    call(step)
    return {"steps": during(lambda: call(step), asked["seconds"]), "ops": during(lambda: call(op), asked["seconds"])}


def strata_caller(module: bytes) -> Callable[[str, list[int]], Any]:
    """Calls functions of an instance of ours."""
    store = Store(Engine(Config(tier="jit1", strict=True, features=INTERPRETED)))
    exports: Any = Linker(store.engine).instantiate(store, Module(module, store.engine)).exports
    return lambda name, given: exports[name](*given)


def wasmtime_caller(module: bytes) -> Callable[[str, list[int]], Any]:
    """Calls functions of an instance of theirs."""
    import wasmtime

    options = wasmtime.Config()
    options.wasm_gc = options.wasm_function_references = True
    engine = wasmtime.Engine(options)
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, module), []).exports(store)
    functions: Any = {export: exports[export] for export in exports}
    return lambda name, given: functions[name](store, *given)


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """On GC-1 to GC-4."""
    return gc.verdicts([row for row in rows if not row.name.startswith("beside: ")], SUITE)


def main() -> int:
    """A part of the suite, shorter."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.collected", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of processor time, for each load (60)")
    parser.add_argument("--compared", type=float, help="the same beside constants (10)")
    parser.add_argument("--point", type=float, default=0.0, help="for a point of the grid (2); 0: the baseline alone")
    parser.add_argument("--peers", type=float, default=1.0, help="beside others (5)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds (5)")
    parser.add_argument("--only", default="", help="loads and programs with this in their names")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(as_peer(json.loads(options.peer))))
        return 0
    rows = list[Row]()
    grid = GRID if options.point else (gc.FIXED,)
    lengths = Lengths(options.seconds, options.compared or options.seconds, options.point or options.seconds, 0)
    for row in measure_all(options.rounds, lengths, options.peers, grid, options.only):
        print(f"{row.name:64} " + "  ".join(f"{who} {value:.3f} {row.unit}" for who, value in row.values.items()))
        rows.append(row)
    stated = verdicts(rows)
    for verdict in stated:
        print(verdict)
    return int(bool(missed(stated)))


if __name__ == "__main__":
    sys.exit(main())
