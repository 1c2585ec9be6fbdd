"""Snapshots that threads take, share, replace and drop, while others begin with them, collect and fork: an instance
holds what was in its snapshot, whoever writes where meanwhile."""

from __future__ import annotations

import gc
from functools import partial
from random import Random

import stratavm
from stratavm.engine.exports import Exports
from tests import worlds
from tests.forks import forked
from tests.torture.measure import repeat, together

GUEST = """(module (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") 8 40) (global (export "n") (mut i32) (i32.const 0))
  (table (export "t") 4 4 funcref) (elem (i32.const 0) $get $host)
  (func $get (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "call") (param i32 i32) (result i32)
    (call_indirect (param i32) (result i32) (call $host (local.get 0)) (local.get 1)))
  (func (export "stamp") (param $n i32) (param $pages i32)
    (global.set 0 (local.get $n))
    (loop $next
      (local.set $pages (i32.sub (local.get $pages) (i32.const 1)))
      (memory.fill (i32.mul (local.get $pages) (i32.const 12288)) (local.get $n) (i32.const 100))
      (br_if $next (local.get $pages)))))"""
PAGES = 40
SLOTS = {"memories": 40, "max_memory_bytes": 40 << 16, "when_exhausted": "map"}
CONFINED = GUEST.replace('(table (export "t") 4 4 funcref)', "(table $t 5000 5000 funcref)").replace(
    '(func (export "stamp")',
    """(func (export "turn") (param i32)
      (table.set $t (i32.const 2) (table.get $t (local.get 0))) (table.set $t (i32.const 3) (ref.func $get)))
    (func (export "stamp")""",
)
"""The same with its functions to itself: clones have FuncRecs in common, and a table that is mapped."""
OPTIONS = (
    {"tier": "auto", "lift_after": 2},
    {"tier": "jit0", "memory_slots": stratavm.MemorySlots(**SLOTS, keep_pages=20)},
    {"tier": "jit1", "memory_slots": stratavm.MemorySlots(**SLOTS), "memory_plan": "bounded"},
    {"tier": "oracle"},
)


class Shelf:
    """Snapshots of one engine that threads share, each with the number that it is stamped with."""

    def __init__(self, options: dict[str, object], text: str) -> None:
        self.engine = stratavm.Engine(**options)
        self.linker = stratavm.Linker(self.engine)
        self.linker.define("env", "host", lambda x: x)
        module = stratavm.Module(text, self.engine)
        first = self.linker.instantiate(stratavm.Store(self.engine), module)
        first.exports.stamp(1, PAGES)
        self.kept: list[tuple[int, stratavm.Snapshot]] = [(1, first.snapshot())]
        self.keep_first()

    def keep_first(self) -> None:
        """All but the first one go; a file for its table is made with its first clone, so it has one."""
        del self.kept[1:]
        with stratavm.Store(self.engine) as store:
            self.kept[0][1].instantiate(store, self.linker)

    def serve(self, chance: Random) -> None:
        """Begin with one of them, look, write, and sometimes keep what there is then."""
        number, snapshot = chance.choice(self.kept)
        with stratavm.Store(self.engine) as store:
            exports = snapshot.instantiate(store, self.linker).exports
            self.check(exports, number, chance)
            mine = chance.randrange(1, 256)
            exports.stamp(mine, PAGES)
            if chance.random() < 0.2:
                exports.memory.grow(1)
                exports.memory.write(len(exports.memory) - 8, b"the last")
            if chance.random() < 0.3:
                if "t" in exports:
                    exports.t[2], exports.t[3] = exports.t[1], exports.t[0]
                else:
                    exports.turn(chance.randrange(2))
                    assert exports.call(100, 3) == exports.memory[100]
            self.check(exports, mine, chance)
            if chance.random() < 0.3:
                taken = mine, snapshot_of(store)
                if len(self.kept) < 6 or chance.random() < 0.5:
                    self.kept[chance.randrange(len(self.kept)) :] = [taken]
                else:
                    self.kept.append(taken)
                    del self.kept[0]
            if chance.random() < 0.1:
                gc.collect(chance.randrange(3))

    def check(self, exports: Exports, number: int, chance: Random) -> None:
        """Whether an instance holds what its number says."""
        assert exports.n.value == number
        for page in range(0, PAGES, chance.randrange(1, 6)):
            assert exports.call(page * 12288 + chance.randrange(100), 0) == number, (page, number)
            assert exports.memory[page * 12288 + 100] == 0, page
            assert exports.call(page, 1) == page


def snapshot_of(store: stratavm.Store) -> stratavm.Snapshot:
    """Of its only instance."""
    return store.instances[0].snapshot()


def in_child(shelf: Shelf, seed: int) -> bool:
    """Whether a forked process can begin with what its parent has, and change it."""

    def right() -> bool:
        chance = Random(seed)
        for _ in range(5):
            shelf.serve(chance)
        return True

    return forked(right)


def clones(random: Random, seconds: float) -> int:
    """Threads at one shelf for each kind of engine; now and then the process forks."""
    shelves = [Shelf(options, text) for options in OPTIONS for text in (GUEST, CONFINED)]

    def many(shelf: Shelf, seed: int) -> None:
        chance = Random(seed)
        for _ in range(8):
            shelf.serve(chance)

    def round_() -> None:
        shelf = random.choice(shelves)
        together(*[partial(many, shelf, random.randrange(1 << 30)) for _ in range(4)])
        if random.random() < 0.3:
            assert in_child(shelf, random.randrange(1 << 30)), "in a child"
        shelf.keep_first()  # roots that some round has made go, so that files are as many as before

    return repeat(seconds, round_)


def clones_with_worlds(random: Random, seconds: float) -> int:
    """The same for guests that have a world: each thread compares some clones with an instance that goes on."""
    engines = [stratavm.Engine(**options) for options in OPTIONS]

    def round_() -> None:
        engine = random.choice(engines)
        together(*[partial(worlds.check, random.randrange(1 << 30), engine) for _ in range(4)])

    return repeat(seconds, round_)
