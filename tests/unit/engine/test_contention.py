"""Claims about guests that get into each other's way on a shared memory while their code changes."""

import threading

import pytest

from stratavm import Engine, Linker, Module, SharedMemory, Store
from stratavm.tiers.jit.lift_events import FunctionLifted, LoopLifted

LOCK, COUNT, MISSES, WRONG, MOST = 0, 64, 128, 192, 256
SOURCE = f"""(module (import "env" "memory" (memory 1 1 shared))
  (func $busy (param $n i32) (result i32) (local $x i32)
    (loop $l
      (local.set $x (i32.add (i32.rotl (local.get $x) (i32.const 5)) (local.get $n)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  (func $lock
    (loop $again
      (if (i32.atomic.rmw.cmpxchg (i32.const {LOCK}) (i32.const 0) (i32.const 1))
        (then (drop (i32.atomic.rmw.add (i32.const {MISSES}) (i32.const 1)))
          (drop (memory.atomic.wait32 (i32.const {LOCK}) (i32.const 1) (i64.const 20000)))
          (br $again)))))
  (func $unlock
    (i32.atomic.store (i32.const {LOCK}) (i32.const 0))
    (drop (memory.atomic.notify (i32.const {LOCK}) (i32.const 1))))
  (func (export "work") (param $turns i32) (param $inside i32) (param $outside i32) (local $seen i64)
    (loop $next
      (call $lock)
      (local.set $seen (i64.load (i32.const {COUNT})))
      (drop (call $busy (local.get $inside)))
      (if (i64.ne (local.get $seen) (i64.load (i32.const {COUNT})))
        (then (drop (i32.atomic.rmw.add (i32.const {WRONG}) (i32.const 1)))))
      (i64.store (i32.const {COUNT}) (i64.add (local.get $seen) (i64.const 1)))
      (v128.store (i32.const {MOST}) (i64x2.splat (i64.add (local.get $seen) (i64.const 1))))
      (call $unlock)
      (drop (call $busy (local.get $outside)))
      (br_if $next (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))))"""
UNEQUAL = [(30_000, 400, 1), (90_000, 30, 200), (5000, 3000, 900), (40_000, 1, 700)]
"""Turns of each thread, and what it does with the lock and without."""


@pytest.mark.trace_slow  # a tracer lets go of the GIL where nothing else does
@pytest.mark.parametrize("plan", ["guard", "bounded"])
@pytest.mark.parametrize("tier", ["auto", "jit0", "jit1"])
def test_a_lock_holds_while_tiers_change(tier, plan):
    """Threads of unequal work meet at it again and again, and functions and loops are compiled anew meanwhile."""
    engine = Engine(tier=tier, memory_plan=plan)
    lifted = []
    engine.bus.subscribe(FunctionLifted, lifted.append)
    engine.bus.subscribe(LoopLifted, lifted.append)
    module = Module(SOURCE, engine=engine)
    memory = SharedMemory(engine, 1, 1)
    linker = Linker(engine)
    linker.define("env", "memory", memory)
    barrier, errors = threading.Barrier(len(UNEQUAL)), []

    def work(turns, inside, outside):
        try:
            run = linker.instantiate(Store(engine), module).exports.work
            barrier.wait(60)
            run(turns, inside, outside)
        except BaseException as error:
            errors.append(error)

    done = 0
    for _ in range(40):
        threads = [threading.Thread(target=work, args=each) for each in UNEQUAL]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done += sum(turns for turns, _, _ in UNEQUAL)
        assert not errors
        assert memory.load(COUNT, 8) == done and memory.load(WRONG) == 0 and memory.load(LOCK) == 0
        assert memory.unpack("<2Q", MOST) == (done, done)
        if memory.load(MISSES) > 100 and (lifted or tier != "auto"):
            break
    assert memory.load(MISSES) > 100, "nobody met anybody"
    assert bool(lifted) == (tier == "auto")
