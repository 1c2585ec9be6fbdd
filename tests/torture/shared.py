"""Threads on one shared memory for a long time: some count and lock, and must count right, while others are ended in
every way, the memory grows, its maker is closed, and the process forks.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import stratavm
from stratavm.base.errors import Closed, DeadlineExceeded, InstancePoisoned, Interrupted, StoreBusy, Trap
from tests.torture.measure import repeat, together

PAGES, MOST_PAGES = 2, 12
LOCK, LOCKED, SUM, MASK, DOZE, FLAG = 0, 64, 128, 192, 256, 320
"""Words: a lock and what it protects, two that are changed at once, where sleepers lie, and what ends spinning."""
MAKER: Final = f'(module (memory (export "memory") {PAGES} {MOST_PAGES} shared))'
GUEST: Final = f"""(module (import "env" "memory" (memory {PAGES} {MOST_PAGES} shared))
  (func $lock (local $was i32)
    (if (local.tee $was (i32.atomic.rmw.cmpxchg (i32.const {LOCK}) (i32.const 0) (i32.const 1)))
      (then (loop $again
        (if (i32.or (i32.eq (local.get $was) (i32.const 2))
            (i32.ne (i32.atomic.rmw.cmpxchg (i32.const {LOCK}) (i32.const 1) (i32.const 2)) (i32.const 0)))
          (then (drop (memory.atomic.wait32 (i32.const {LOCK}) (i32.const 2) (i64.const -1)))))
        (br_if $again
          (local.tee $was (i32.atomic.rmw.cmpxchg (i32.const {LOCK}) (i32.const 0) (i32.const 2))))))))
  (func $unlock
    (if (i32.ne (i32.atomic.rmw.sub (i32.const {LOCK}) (i32.const 1)) (i32.const 1))
      (then (i32.atomic.store (i32.const {LOCK}) (i32.const 0))
        (drop (memory.atomic.notify (i32.const {LOCK}) (i32.const 1))))))
  (func (export "locked") (param $n i32)
    (loop $next
      (call $lock)
      (i32.store (i32.const {LOCKED}) (i32.add (i32.load (i32.const {LOCKED})) (i32.const 1)))
      (call $unlock)
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "atomic") (param $n i32) (param $bit i64) (result i64)
    (local $seen i64)
    (loop $next
      (drop (i64.atomic.rmw32.add_u (i32.const {SUM}) (i64.const 3)))
      (local.set $seen (i64.or (local.get $seen)
        (i64.atomic.rmw.xor (i32.const {MASK}) (i64.shl (i64.const 1) (local.get $bit)))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.and (i64.shr_u (local.get $seen) (local.get $bit)) (i64.const 1)))
  (func (export "doze") (param $timeout i64) (result i32)
    (memory.atomic.wait32 (i32.const {DOZE}) (i32.const 0) (local.get $timeout)))
  (func (export "wake") (param $count i32) (result i32)
    (memory.atomic.notify (i32.const {DOZE}) (local.get $count)))
  (func (export "spin") (loop $more (br_if $more (i32.eqz (i32.atomic.load (i32.const {FLAG}))))))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "last") (param $n i32)
    (loop $next
      (drop (i32.atomic.rmw8.add_u offset=0 (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1))
        (i32.const 1)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "far") (param $at i32) (result i32) (i32.atomic.rmw.or (local.get $at) (i32.const 0))))"""
ENDLESS: Final = 1 << 24
PATIENCE_S: Final = 60.0


class Round:
    """One memory, and threads that come and go."""

    def __init__(self, random: Random, engine: stratavm.Engine, modules: tuple[stratavm.Module, stratavm.Module]):
        self.random, self.engine = random, engine
        self.maker = stratavm.Store(engine)
        made, self.module = modules
        if random.random() < 0.5:
            self.memory = stratavm.Linker(engine).instantiate(self.maker, made).exports.memory
        else:
            self.memory = stratavm.SharedMemory(engine, PAGES, MOST_PAGES)
        self.victims: list[stratavm.Store] = []
        self.ended: list[stratavm.Store] = []
        self.locked = self.sums = 0
        self.seeds = iter([random.random() for _ in range(32)])

    def guest(self, store: stratavm.Store) -> Any:
        """What an instance over the memory exports."""
        linker = stratavm.Linker(self.engine)
        linker.define("env", "memory", self.memory)
        return linker.instantiate(store, self.module).exports

    def workers(self) -> list[Callable[[], None]]:
        """Threads that nobody disturbs: what they count must be right in the end."""
        jobs: list[Callable[[], None]] = []
        for _ in range(self.random.randint(1, 2)):
            count = self.random.choice((1, 50, 400))
            self.locked += count
            jobs.append(lambda n=count: self.guest(stratavm.Store(self.engine)).locked(n))
        for bit in range(self.random.randint(1, 2)):
            count = 2 * self.random.choice((1, 500, 20_000))
            self.sums += 3 * count
            jobs.append(lambda n=count, bit=bit: self.changes(n, bit))
        jobs.append(lambda: self.guest(stratavm.Store(self.engine)).last(self.random.choice((10, 3000))))
        jobs.append(self.grows)
        return jobs

    def changes(self, count: int, bit: int) -> None:
        """A bit that only this thread changes is seen in both states, and is what it was in the end."""
        assert self.guest(stratavm.Store(self.engine)).atomic(count, bit) == 1

    def grows(self) -> None:
        """By one page after another, from Python and from a guest: the size is never less than it was."""
        guest, size = self.guest(stratavm.Store(self.engine)), 0
        for number in range(MOST_PAGES + 2):
            grown = self.memory.grow(1) if number % 2 and self.memory.size_pages < MOST_PAGES else guest.grow()
            assert grown == -1 or grown >= size
            size = max(size, grown)
            assert size <= self.memory.size_pages <= MOST_PAGES
            time.sleep(1e-4)

    def victim(self) -> Callable[[], None]:
        """A thread that waits or spins, and is ended by an interrupt, a deadline or a close; or traps."""
        random = Random(next(self.seeds))
        store = stratavm.Store(self.engine, on_abort="keep" if random.random() < 0.5 else "poison")
        self.victims.append(store)

        def run() -> None:
            try:
                exports = self.guest(store)
                while True:
                    self.attempt(exports, store, random)
            except (Interrupted, StoreBusy, InstancePoisoned, Closed):
                pass
            finally:
                self.ended.append(store)

        return run

    def attempt(self, exports: Any, store: stratavm.Store, random: Random) -> None:
        """One call that is ended, or ends by itself soon; the last of them is told by an error."""
        how = random.randrange(7)
        try:
            if how == 0:
                exports.spin()
            elif how == 1:
                assert exports.doze(-1) == 0, "nobody changes the word"
            elif how == 2:
                assert exports.doze(random.randrange(200_000)) in (0, 2)
            elif how == 3:
                with store.deadline(random.random() * 2e-3):
                    exports.doze(-1)
            elif how == 4:
                with store.deadline(random.random() * 2e-3):
                    exports.spin()
            elif how == 5:
                exports.far(ENDLESS)
            else:
                exports.far(2)
        except DeadlineExceeded:
            assert how in (3, 4)
        except Interrupted:
            raise
        except Trap as trap:
            assert trap.kind == {5: "memory_out_of_bounds", 6: "unaligned_atomic"}.get(how), trap

    def disturb(self) -> None:
        """Until the victims have ended: wake some, interrupt one, close the maker, fork."""
        random, over = Random(next(self.seeds)), time.monotonic() + PATIENCE_S
        until = time.monotonic() + random.random() * 0.05
        while len(self.ended) < len(self.victims):
            assert time.monotonic() < over, f"{len(self.ended)} of {len(self.victims)} threads have ended"
            how = random.randrange(12)
            if how == 0:
                self.maker.close()
            elif how == 1 and random.random() < 0.2:
                self.fork()
            elif how < 6:
                self.memory.notify(DOZE, random.choice((1, 2, None)))
            if time.monotonic() > until:
                for store in self.victims:
                    store.interrupt()
            time.sleep(random.random() * 1e-3)

    def fork(self) -> None:
        """The child has a copy of the memory, and no thread but this one; guests run and wait in it."""
        child = os.fork()
        if child == 0:
            good = False
            try:
                guest = self.guest(stratavm.Store(self.engine))
                good = guest.atomic(100, 60) == 1 and guest.doze(1000) == 2 and guest.wake(7) == 0
            finally:
                os._exit(0 if good else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0, status

    def run(self) -> None:
        """All of it; then what was counted."""
        victims = [self.victim() for _ in range(self.random.randint(1, 3))]
        together(*self.workers(), *victims, self.disturb)
        assert self.memory.load(LOCKED) == self.locked and self.memory.load(LOCK) == 0
        assert self.memory.load(SUM) == self.sums and self.memory.load(MASK, 8) == 0
        assert self.memory.notify(DOZE) == 0, "somebody waits still"
        self.maker.close()
        assert self.memory.load(SUM) == self.sums


def shared_memories(random: Random, seconds: float) -> int:
    """Threads with a store each share a memory: nothing is lost, whoever ends, however."""
    engine = stratavm.Engine(tier=random.choice(("jit0", "jit1", "auto")))
    modules = stratavm.Module(MAKER, engine), stratavm.Module(GUEST, engine)
    before = threading.active_count()
    rounds = repeat(seconds, lambda: Round(random, engine, modules).run())
    assert threading.active_count() <= before + 2
    return rounds
