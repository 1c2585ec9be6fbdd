"""Objects that machine code makes and changes, while garbage is collected in all ways."""

from __future__ import annotations

import ctypes

import pytest

from stratavm import Config, Engine, GcConfig, GcConstants, Module, Store
from stratavm.contract import layout
from stratavm.engine import Linker
from stratavm.engine.instance import Instance
from stratavm.runtime.patch import context_of
from tests.unit.targets.x64.native import Place

MACHINE = ("jit0", "jit1")
MASK = 0xFFFF_FFFF
OFTEN = GcConfig(generations=True, constants=GcConstants(nursery_bytes=1 << 15, slice_us=20, factor=0.01))
TEXT = """(module
  (type $s (struct (field $v (mut i32)) (field $n (mut (ref null $s))) (field $a (mut (ref null any)))))
  (type $r (array (mut (ref null $s)))) (type $b (array (mut i16))) (type $w (struct (field v128) (field (mut f64))))
  (global $g (mut (ref null $s)) (ref.null $s)) (global $t (mut (ref null $r)) (ref.null $r))
  ;; All kinds of objects whose size is known; what is in them is 1 to 15.
  (func (export "sums") (param $k i32) (result i32) (local $r (ref $r)) (local $b (ref $b))
    (local $w (ref $w)) (local $sum i32)
    (loop
      (local.set $w (struct.new $w (v128.const i32x4 1 2 0 0) (f64.const 3)))
      (local.set $b (array.new_fixed $b 3 (i32.const 4) (i32.const 0) (i32.const 5)))
      (local.set $r (array.new $r (struct.new $s (i32.const 3) (ref.null $s) (ref.i31 (i32.const 2))) (i32.const 3)))
      (drop (array.new_default $b (i32.const 77)))
      (drop (struct.new_default $s))
      (array.set $r (local.get $r) (i32.const 1) (struct.new $s (i32.const 1) (ref.null $s) (ref.null any)))
      (local.set $sum (i32x4.extract_lane 0 (struct.get $w 0 (local.get $w))))
      (local.set $sum (i32.add (local.get $sum) (i32x4.extract_lane 1 (struct.get $w 0 (local.get $w)))))
      (local.set $sum (i32.add (local.get $sum) (i32.trunc_f64_s (struct.get $w 1 (local.get $w)))))
      (local.set $sum (i32.add (local.get $sum) (array.get_u $b (local.get $b) (i32.const 0))))
      (local.set $sum (i32.add (local.get $sum) (array.get_u $b (local.get $b) (i32.const 1))))
      (local.set $sum (i32.add (local.get $sum) (array.get_u $b (local.get $b) (i32.const 2))))
      (local.set $sum (i32.add (local.get $sum) (struct.get $s $v (array.get $r (local.get $r) (i32.const 0)))))
      (local.set $sum (i32.add (local.get $sum) (struct.get $s $v (array.get $r (local.get $r) (i32.const 1)))))
      (local.set $sum (i32.add (local.get $sum) (i31.get_u
        (ref.cast (ref i31) (struct.get $s $a (array.get $r (local.get $r) (i32.const 2)))))))
      (local.set $sum (i32.add (local.get $sum) (array.len (local.get $b))))
      (if (i32.ne (local.get $sum) (i32.const 24)) (then (return (local.get $sum))))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (local.get $sum))
  ;; A table of lists: each step takes one element away from a list, and puts a new one on another.
  (func (export "begin") (param $n i32)
    (global.set $t (array.new_default $r (local.get $n))))
  (func (export "put") (param i32)
    (array.set $r (global.get $t) (i32.const 0) (struct.new $s (local.get 0) (ref.null $s) (ref.null any))))
  (func (export "other") (drop (struct.new $s (i32.const 0) (ref.null $s) (ref.null any))))
  (func (export "steps") (param $k i32) (local $at i32) (local $new (ref $s))
    (loop
      (local.set $at (i32.rem_u (i32.mul (local.get $k) (i32.const 7919)) (array.len (global.get $t))))
      (local.set $new (struct.new $s (local.get $k) (ref.null $s) (ref.i31 (local.get $k))))
      (struct.set $s $n (local.get $new) (array.get $r (global.get $t) (local.get $at)))
      (array.set $r (global.get $t) (local.get $at) (local.get $new))
      (local.set $at (i32.rem_u (i32.mul (local.get $k) (i32.const 104729)) (array.len (global.get $t))))
      (if (i32.eqz (ref.is_null (array.get $r (global.get $t) (local.get $at))))
        (then
          (struct.set $s $a (array.get $r (global.get $t) (local.get $at))
            (array.get $r (global.get $t) (local.get $at)))
          (global.set $g (array.get $r (global.get $t) (local.get $at)))
          (array.set $r (global.get $t) (local.get $at)
            (struct.get $s $n (array.get $r (global.get $t) (local.get $at))))
          (struct.set $s $n (global.get $g) (ref.null $s))))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "sum") (result i64) (local $at i32) (local $l (ref null $s)) (local $sum i64)
    (loop $next
      (local.set $l (array.get $r (global.get $t) (local.get $at)))
      (block $done (loop $more
        (br_if $done (ref.is_null (local.get $l)))
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (struct.get $s $v (local.get $l)))))
        (local.set $l (struct.get $s $n (local.get $l)))
        (br $more)))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (array.len (global.get $t)))))
    (local.get $sum)))"""


def made(tier: str, gc: GcConfig = OFTEN) -> Instance:
    """An instance in a store of its own."""
    engine = Engine(Config(tier=tier, gc=gc))
    return Linker(engine).instantiate(Store(engine), Module(TEXT, engine=engine))


def expected(count: int, steps: int) -> int:
    """What ``sum`` says: the same with lists of Python's."""
    lists: list[list[int]] = [[] for _ in range(count)]
    for k in range(steps, 0, -1):
        lists[(k * 7919 & MASK) % count].append(k)
        taken = lists[(k * 104729 & MASK) % count]
        if taken:
            taken.pop()
    return sum(map(sum, lists))


@pytest.mark.parametrize("tier", MACHINE)
def test_lists_that_change_while_garbage_is_collected(tier: str) -> None:
    """With looks at new objects for every block, and full collections in slices all the time."""
    instance = made(tier)
    call = instance.exports
    call["begin"](1000)
    call["steps"](200_000)
    assert call["sum"]() == expected(1000, 200_000)
    metrics = instance.store.gc_metrics()
    assert metrics is not None and metrics.minors > 100


@pytest.mark.parametrize("gc", [OFTEN, GcConfig(generations=False)], ids=["slices", "pauses"])
@pytest.mark.parametrize("harsh", [False, True])
@pytest.mark.parametrize("tier", MACHINE)
def test_objects_of_every_kind(tier: str, harsh: bool, gc: GcConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written first stands in them, zeros where nothing was; where each allocation collects, too."""
    if harsh:
        monkeypatch.setenv("STRATA_CHECK", "2")
        monkeypatch.setenv("STRATA_POISON", "1")
    call = made(tier, gc).exports
    assert call["sums"](20 if harsh else 50_000) == 24
    call["begin"](5)
    steps = 60 if harsh else 5000
    call["steps"](steps)
    assert call["sum"]() == expected(5, steps)


@pytest.mark.parametrize("tier", MACHINE)
def test_a_barrier_that_says_nothing_is_found(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault is planted: the slow path returns at once. The verifier, which looks after each collection under
    ``STRATA_CHECK=2``, finds what was not noted."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    instance = made(tier)
    returns = Place(b"\xc2\x08\x00", executable=True)  # and takes the object from the stack
    ctypes.c_uint64.from_address(context_of(instance) + layout.EXEC.offset("note_stub")).value = returns.address
    call = instance.exports
    call["begin"](5)
    with pytest.raises(AssertionError, match=r"nobody noted|that were freed"):
        for k in range(20):
            call["put"](k)
            call["other"]()


MANY = 3000
TAKEN = f"""(module
  (type $s (struct (field i32))) (type $r (array (mut (ref null $s))))
  (global $t (mut (ref null $r)) (ref.null $r)) (global $kept (mut (ref null $r)) (ref.null $r))
  (elem $nulls (ref null $s) {"(ref.null $s) " * MANY})
  (func (export "begin") (param $n i32)
    (global.set $t (array.new_default $r (local.get $n)))
    (loop
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (array.set $r (global.get $t) (local.get $n) (struct.new $s (local.get $n)))
      (br_if 0 (local.get $n))))
  (func $keep (param $at i32) (param $n i32)
    (global.set $kept (array.new_default $r (local.get $n)))
    (array.copy $r $r (global.get $kept) (i32.const 0) (global.get $t) (local.get $at) (local.get $n)))
  (func (export "set") (param $at i32) (param $n i32)
    (call $keep (local.get $at) (local.get $n))
    (loop
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (array.set $r (global.get $t) (i32.add (local.get $at) (local.get $n)) (ref.null $s))
      (br_if 0 (local.get $n))))
  (func (export "fill") (param $at i32) (param $n i32)
    (call $keep (local.get $at) (local.get $n))
    (array.fill $r (global.get $t) (local.get $at) (ref.null $s) (local.get $n)))
  (func (export "copy") (param $at i32) (param $n i32)
    (call $keep (local.get $at) (local.get $n))
    (array.copy $r $r (global.get $t) (local.get $at) (global.get $t) (i32.const 0) (local.get $n)))
  (func (export "init_elem") (param $at i32) (param $n i32)
    (call $keep (local.get $at) (local.get $n))
    (array.init_elem $r $nulls (global.get $t) (local.get $at) (i32.const 0) (local.get $n)))
  (func (export "churn") (param $k i32)
    (loop (drop (struct.new $s (i32.const -1))) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "kept") (param $at i32) (result i32)
    (struct.get $s 0 (array.get $r (global.get $kept) (local.get $at)))))"""


@pytest.mark.parametrize("number", [8, MANY])
@pytest.mark.parametrize("how", ["set", "fill", "copy", "init_elem"])
@pytest.mark.parametrize("tier", ("oracle", *MACHINE))
def test_what_is_written_over_while_marks_are_made(tier: str, how: str, number: int) -> None:
    """Only an array that is new has it then, of which nobody looks at what is old; it was reachable when the collection
    began, from an array at whose end nobody had looked yet."""
    engine = Engine(Config(tier=tier))
    store, length = Store(engine), 20_000
    call = Linker(engine).instantiate(store, Module(TAKEN, engine)).exports
    call["begin"](length)
    store.gc()
    call["churn"](1)  # nothing would be due else
    assert store.gc_for_at_most(1e-9)
    call[how](length - number, number)
    while store.gc_for_at_most(1e-6):
        pass
    call["churn"](length)  # in the place of what is free
    assert [call["kept"](at) for at in range(0, number, 7)] == list(range(length - number, length, 7))
