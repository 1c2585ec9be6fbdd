"""What guests do in suite ``gc`` (ADR-0079): loads as calls of a module, and a guest that does them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from stratavm import GcConfig, GcConstants
from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import ALL
from stratavm.module.parser import parse_wat_to_bytes
from tests.bench import gc
from tests.bench.gc import TREE, Constants, Load

FOLDER: Final = Path(__file__).with_name("collected")
LOADS: Final = "loads"
MILLIONS: Final = "2.1 M nodes"
"""Of loads that are measured beside others."""

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
        each: what lives are trees of so many nodes.
    """

    name: str
    live: int
    step: tuple[Call, int]
    op: tuple[Call, int]
    counted: str
    setup: Call | None = None
    each: int = 1


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
        Work(
            "table", 0, (("table", (1 << 16, 100_000)), 3_100_000), (("table", (1 << 16, 16)), 16 * 31), "held", each=31
        ),
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
        gc_config = config(constants, entries)
        self.store = Store(Engine(Config(tier="jit1", strict=True, features=ALL, gc=gc_config)))
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

    def used_bytes(self) -> int:
        """Of the store's heap."""
        metrics = self.store.gc_metrics()
        return int(metrics.used_bytes) if metrics else 0

    def end(self) -> None:
        """Count what lives. RuntimeError: it is not what the load keeps."""
        found = self.exports[self.work.counted]()
        wanted = self.work.live
        if wanted and found != wanted:
            raise RuntimeError(f"{self.work.name}: {found} nodes live, and {wanted} should")
        if not found or found % self.work.each:
            raise RuntimeError(f"{self.work.name}: {found} nodes live, and it should be so many times {self.work.each}")
        self.store.close()


def load_of(work: Work) -> Load:
    """The load as the suite of the heap measures it."""
    return Load(work.name, work.live, partial(Guest, work))
