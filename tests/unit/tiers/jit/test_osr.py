"""Claims about loops that go on at level 1: nothing but the speed changes, whichever round they leave level 0 in."""

import contextlib
import random
import time

import pytest

import stratavm
from stratavm import Engine, Linker, Module, Store
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.tiers.jit.lazy import LazyCode
from stratavm.tiers.jit.lift_events import LoopLifted
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds
from tests.fuzz import generators
from tests.fuzz.oracles import argument
from tests.unit.tiers.jit.patience import long_enough

LOCALS = [(t, i) for i in range(9) for t in ("i32", "i64", "f32", "f64")]
"""Many of each type: some are in registers and some in slots."""


def kinds() -> str:
    """A loop with values of each type, a reference, and results in registers and cells."""
    values = " ".join(f"(param ${t}{i} {t})" for t, i in LOCALS)
    results = " ".join(t for t, _ in LOCALS)
    steps = "\n".join(
        f"(local.set ${t}{i} ({t}.add (local.get ${t}{i}) (local.get ${t}{(i + 1) % 9})))" for t, i in LOCALS
    )
    back = " ".join(f"(local.get ${t}{i})" for t, i in LOCALS)
    return f"""(func (export "kinds") {values} (param $n i32) (result {results} i32) (local $r funcref)
      (local.set $r (ref.func $nest))
      (loop $l {steps}
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      {back} (ref.is_null (local.get $r)))"""


PROGRAM = f"""(module (memory 1)
  {kinds()}
  (func $nest (export "nest") (param i32 f64 i64) (result f64 i64) (local i32 i32 f64)
    (loop $a
      (local.set 3 (i32.const 7))
      (loop $b
        (local.set 4 (i32.const 3))
        (loop $c
          (local.set 5 (f64.add (local.get 5) (f64.mul (local.get 1) (f64.convert_i32_s (local.get 3)))))
          (local.set 2 (i64.add (local.get 2) (i64.extend_i32_u (local.get 4))))
          (if (i32.eq (local.get 0) (i32.const 13))
            (then (local.set 1 (f64.const 2)) (local.set 0 (i32.const 12)) (br $b)))
          (br_if $c (local.tee 4 (i32.sub (local.get 4) (i32.const 1)))))
        (br_if $b (local.tee 3 (i32.sub (local.get 3) (i32.const 1)))))
      (br_if $a (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 5) (local.get 2))
  (func (export "calls") (param i32) (result i64) (local i64)
    (loop (result i64)
      (call $nest (i32.const 1) (f64.const 1) (local.get 1))
      (local.set 1) (drop)
      (i64.add (local.get 1) (i64.const 1))
      (br_if 0 (local.set 1) (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
      (local.get 1)))
  (func (export "trap") (param i32) (result i32)
    (loop
      (drop (i32.div_u (i32.const 9) (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (br 0))
    (unreachable))
  (func (export "spin") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.xor (i32.mul (local.get 1) (i32.const 3)) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (elem declare func $nest))
"""
CALLS = [
    ("kinds", [*range(3, 39), 6]),
    ("nest", [20, 1.5, 3]),
    ("nest", [2, 0.25, 9]),
    ("spin", [1000]),
    ("kinds", [*range(40, 4, -1), 11]),
    ("spin", [3]),
]


def engine(polls, **options):
    """An engine whose loops leave level 0 at each so many polls."""
    return Engine(tier="auto", services={Policy: Thresholds(MOST_CALLS, ticks=False, polls=polls)}, **options)


def instance_of(engine, fuel=None):
    """An instance of the program."""
    module = Module(PROGRAM, engine=engine)
    store = Store(engine, fuel=fuel)
    return module, store, Linker(engine).instantiate(store, module)


def left(module):
    """Polls that came to each entry that was made; loops that have none must say why."""
    loops = module.code.loops()
    assert [loop.reason for loop in loops if not loop.code] == []
    return [polls for _, _, polls in module.code.lazy.table.entries_made]


@pytest.mark.parametrize("plan", ["guard", "bounded"])
@pytest.mark.parametrize("polls", [1, 2, 3, 7])
def test_values_of_every_kind_arrive(polls, plan):
    """In registers and slots, in nested loops, with results in cells; with fuel, which is the same."""
    module, store, instance = instance_of(engine(polls, fuel=True, memory_plan=plan), fuel=1 << 20)
    _, plain_store, plain = instance_of(Engine(fuel=True), fuel=1 << 20)
    for name, arguments in CALLS:
        assert instance.exports[name](*arguments) == plain.exports[name](*arguments)
        assert store.fuel == plain_store.fuel
    assert sum(left(module)) >= 4
    assert len(left(module)) >= (3 if polls == 1 else 4)


@pytest.mark.parametrize("polls", [1, 2, 5])
def test_a_trap_says_the_same(polls):
    """Kind and place."""
    seen = set()
    for instance in (instance_of(engine(polls))[2], instance_of(Engine())[2]):
        with pytest.raises(stratavm.Trap) as trapped:
            instance.exports.trap(9)
        seen.add((trapped.value.kind, tuple((f.func, f.offset) for f in trapped.value.frames)))
    assert len(seen) == 1


def test_the_event_says_what_was_made():
    """Once for each loop."""
    host = engine(1)
    told = []
    host.bus.subscribe(LoopLifted, told.append)
    module, _, instance = instance_of(host)
    for _ in range(3):
        instance.exports.spin(5)
    assert [event.function for event in told] == [4]
    assert told[0].ns > 0
    assert told[0].code_bytes > 0
    assert left(module) == [3]


def test_where_level_0_has_no_homes_for_values_a_loop_stays():
    """The allocator that keeps everything in slots does not say when values are alive. It is asked once."""
    module, _, instance = instance_of(engine(1, allocator="naive"))
    for _ in range(2):
        assert instance.exports.spin(1000) == instance_of(Engine())[2].exports.spin(1000)
    [loop] = module.code.loops()
    assert (loop.code, loop.reason != "") == (0, True)
    assert module.code.lazy.table.entries_made == [(loop.pc, 0, 0)]


def test_where_the_stack_has_no_room_a_loop_stays(monkeypatch):
    """The frame of level 1 may be larger."""

    def too_large(lazy, _index, pc):
        assert lazy.table.add_entry(pc, 0x1000, 1 << 31, b"")  # to go there would end the process

    monkeypatch.setattr(LazyCode, "lift_loop", too_large)
    module, _, instance = instance_of(engine(2))
    expected = instance_of(Engine(tier="jit0"))[2].exports.spin(1)
    for polls in (1, 2, 3, 4):
        assert instance.exports.spin(1) == expected
        assert module.code.lazy.table.entries_made[0][2] == polls


def test_a_long_loop_is_at_level_1_after_some_ticks():
    """With no more calls than the one that runs. On a busy machine a thread may have made the whole function before a
    tick comes: then no loop of it is at level 0 any more."""
    end = time.monotonic() + 60
    told = []
    turns, expected = long_enough(instance_of(Engine(tier="jit0"))[2].exports.spin, 0.2)
    while not told and time.monotonic() < end:
        host = Engine(tier="auto")
        host.bus.subscribe(LoopLifted, told.append)
        module, _, instance = instance_of(host)
        assert instance.exports.spin(turns) == expected
        polls = left(module)  # it asks the thread, which tells of nothing by itself
        host.bus.drain()
    assert told[0].function == 4
    assert sum(polls) >= 1


@pytest.mark.parametrize("seed", range(0, 60, 12))
def test_every_loop_of_generated_modules_can_be_left(seed):
    """All values have a place, whatever the module."""
    made = 0
    for number in range(seed, seed + 12):
        host = engine(1, fuel=True, features=ALL)
        module = Module(generators.smith(number), engine=host)
        model = decode(generators.smith(number), features=ALL)
        with Store(host, fuel=20_000) as store:
            try:
                instance = Linker(host).instantiate(store, module)
            except stratavm.StrataError:
                continue
            rng = random.Random(number)
            for export in model.exports:
                if export.kind == "func":
                    params = model.func_type(export.index).params
                    with contextlib.suppress(stratavm.StrataError):
                        instance.exports[export.name].call_raw([argument(rng, t) for t in params])
        made += len(left(module))
    assert made > 0
