"""Updates while guests run: threads call, others update, go back, swap and collect, and now and then the process forks.
A guest that sees an older version behind a newer one traps; no call fails, and no state is lost by a swap."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from functools import partial
from random import Random

import stratavm
from stratavm.engine.composition import composition
from tests.forks import forked
from tests.torture.measure import repeat, together

GUEST = """(module (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) $value $host) (data $passive "{data}")
  (type $f (func (result i32)))
  (func $value (export "value") (result i32) i32.const {version})
  (func $seen (param $last i32) (result i32) (local $now i32)
    (local.set $now (call $value))
    (if (i32.and (i32.const {strict}) (i32.lt_u (local.get $now) (local.get $last))) (then unreachable))
    (local.set $last (call_indirect (type $f) (i32.const 0)))
    (if (i32.and (i32.const {strict}) (i32.lt_u (local.get $last) (local.get $now))) (then unreachable))
    (local.get $last))
  (func (export "work") (param $n i32) (result i32) (local $last i32)
    (loop $next
      (local.set $last (call $seen (local.get $last)))
      (memory.init $passive (i32.const 16) (i32.const 0) (i32.const 8))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (i32.rem_u (local.get $n) (i32.const 50)))
      (drop (call $host (local.get $n)))
      (br_if $next (local.get $n)))
    (local.get $last))
  (func (export "add") (param i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get 0))))
  (func (export "sum") (result i32) (i32.load (i32.const 0)))
  (func (export "export-state") (result i64) (i64.const 4))
  (func (export "alloc") (param i32) (result i32) (i32.const 8))
  (func (export "migrate") (param i32 i32 i32) (result i32)
    (i32.store (i32.const 0) (i32.load (local.get 1))) (i32.const {refuses})){more})"""
PASSES = tuple([name for name in composition().ssa_passes() if name != "inline"])
OPTIONS = (
    {"tier": "auto", "lift_after": 2, "passes": PASSES},
    {"tier": "jit0"},
    {"tier": "jit1", "passes": PASSES},
    {"tier": "oracle"},
    {"tier": "auto", "lift_after": 2},
    {"tier": "jit1"},
)
INLINES = 4
"""Options from here on have functions inlined in others: an old body has the old ones, behind newer ones that it has
called."""
UPDATES = 12
WORK = 400


def version(number: int, strict: bool, data: str = "12345678", refuses: bool = False, more: str = "") -> str:
    """The program with another number, and perhaps what is no patch; whether it traps where it sees an older one."""
    return GUEST.format(version=number, strict=int(strict), data=data, refuses=int(refuses), more=more)


class Program:
    """An instance that is patched, while threads call it."""

    def __init__(self, engine: stratavm.Engine, strict: bool) -> None:
        self.version = partial(version, strict=strict)
        self.instance = stratavm.load(self.version(1), {"env": {"host": lambda x: x}}, store=stratavm.Store(engine))
        self.newest = 1
        self.over = threading.Event()

    def call(self) -> None:
        """All the time; another thread may be inside."""
        while not self.over.is_set():
            with suppress(stratavm.StoreBusy):
                assert 1 <= self.instance.exports.work(WORK) <= UPDATES + 1
                assert bytes(self.instance.exports.memory[16:24]) == b"12345678"

    def patch(self, chance: Random) -> None:
        """Now, or when nobody is in what changes, which may come too late."""
        try:
            for number in range(2, UPDATES + 2):
                more = "(func $new (param f64))" if number > UPDATES // 2 else ""
                if chance.random() < 0.3:
                    with suppress(stratavm.DeadlineExceeded):
                        self.instance.update(self.version(number, more=more), when="idle", deadline=0.02)
                        self.newest = number
                else:
                    self.instance.update(self.version(number, more=more), deadline=50)
                    self.newest = number
                if chance.random() < 0.1:
                    gc.collect(chance.randrange(3))
        finally:
            self.over.set()


class Swapped:
    """A program that is swapped, while threads add to what it holds."""

    def __init__(self, engine: stratavm.Engine) -> None:
        self.live = stratavm.LiveInstance(version(1, True), {"env": {"host": lambda x: x}}, engine=engine)
        self.add, self.work = self.live.exports.add, self.live.exports.work
        self.added = 0
        self.lock = threading.Lock()
        self.over = threading.Event()

    def call(self, chance: Random) -> None:
        """In turn with others."""
        while not self.over.is_set():
            number = chance.randrange(1000)
            with self.lock:
                self.add(number)
                self.added += number
                if chance.random() < 0.1:
                    self.work(WORK)

    def swap(self, chance: Random) -> None:
        """To versions that take the state, and some that do not."""
        try:
            for number in range(2, UPDATES // 2):
                refuses = chance.random() < 0.3
                try:
                    self.live.update(version(number, True, f"{number:08d}", refuses), how="swap", deadline=50)
                except stratavm.MigrationFailed:
                    assert refuses
                else:
                    assert not refuses
                if chance.random() < 0.2:
                    self.live.forget()
        finally:
            self.over.set()


def in_child(program: Program) -> bool:
    """Whether a forked process can call it, update it and go back."""

    def right() -> bool:
        more = "(func $new (param f64))"
        program.instance.update(program.version(99, more=more))
        updated = program.instance.exports.work(WORK) == 99
        program.instance.rollback()
        return bool(updated and program.instance.exports.work(WORK) == program.newest)

    return forked(right)


def updates(random: Random, seconds: float) -> int:
    """One kind of engine in each round."""
    engines = [stratavm.Engine(**options) for options in OPTIONS]

    def round_() -> None:
        kind = random.randrange(len(engines))
        engine = engines[kind]
        if random.random() < 0.5:
            swapped = Swapped(engine)
            chances = [Random(random.randrange(1 << 30)) for _ in range(3)]
            together(partial(swapped.swap, chances[0]), *[partial(swapped.call, chance) for chance in chances[1:]])
            assert swapped.live.exports.sum() == swapped.added & 0xFFFFFFFF, "a swap has lost state"
            swapped.live.close()
            return
        program = Program(engine, kind < INLINES)
        together(partial(program.patch, Random(random.randrange(1 << 30))), program.call, program.call)
        assert program.instance.exports.work(WORK) == program.newest
        assert random.random() > 0.3 or in_child(program), "in a child"
        if program.instance.before is not None:
            program.instance.rollback()
            assert program.instance.exports.value() < program.newest
        program.instance.store.close()

    return repeat(seconds, round_)
