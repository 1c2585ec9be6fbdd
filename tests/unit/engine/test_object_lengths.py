"""Arrays whose length is known when a guest runs: how much room they get, and where."""

from __future__ import annotations

import pytest

from stratavm import Config, Engine, GcConfig, GcConstants, Linker, Module, Store
from stratavm.engine.instance import Instance

TIERS = ("oracle", "jit0", "jit1")
OFTEN = GcConfig(generations=True, constants=GcConstants(nursery_bytes=1 << 15, slice_us=5, factor=0.01))
"""A look at new objects for every block."""

TEXT = """(module
  (type $v (array (mut v128))) (type $l (array (mut i64))) (type $s (array (mut i16)))
  (type $r (array (mut (ref null $l))))
  (global $kept (mut (ref null $r)) (ref.null $r))
  (func $churn (param $k i32)
    (loop (drop (array.new_default $l (i32.const 3)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  ;; How many elements the second has, and what is in them, once the first is full of ones.
  (func (export "vectors") (param $n i32) (param $m i32) (result i32 i64) (local $a (ref $v)) (local $b (ref $l))
    (local.set $a (array.new_default $v (local.get $n)))
    (local.set $b (array.new_default $l (local.get $m)))
    (array.fill $v (local.get $a) (i32.const 0) (v128.const i64x2 -1 -1) (local.get $n))
    (array.len (local.get $b))
    (i64.or (array.get $l (local.get $b) (i32.const 0)) (array.get $l (local.get $b) (i32.const 1))))
  (func (export "halves") (param $n i32) (param $m i32) (result i32 i64) (local $a (ref $s)) (local $b (ref $l))
    (local.set $a (array.new_default $s (local.get $n)))
    (local.set $b (array.new_default $l (local.get $m)))
    (array.fill $s (local.get $a) (i32.const 0) (i32.const -1) (local.get $n))
    (array.len (local.get $b))
    (i64.or (array.get $l (local.get $b) (i32.const 0)) (array.get $l (local.get $b) (i32.const 1))))
  ;; Arrays of so many elements, each full of its number, which live on among garbage.
  (func (export "keep") (param $n i32) (local $at i32) (local $a (ref $l))
    (global.set $kept (array.new_default $r (i32.const 12)))
    (loop
      (local.set $a (array.new_default $l (local.get $n)))
      (array.fill $l (local.get $a) (i32.const 0) (i64.extend_i32_u (local.get $at)) (local.get $n))
      (array.set $r (global.get $kept) (local.get $at) (local.get $a))
      (call $churn (i32.const 2000))
      (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 12)))))
  (func (export "sum") (param $at i32) (result i64) (local $k i32) (local $sum i64) (local $a (ref null $l))
    (local.set $a (array.get $r (global.get $kept) (local.get $at)))
    (local.set $k (array.len (local.get $a)))
    (loop
      (local.set $k (i32.sub (local.get $k) (i32.const 1)))
      (local.set $sum (i64.add (local.get $sum) (array.get $l (local.get $a) (local.get $k))))
      (br_if 0 (local.get $k)))
    (local.get $sum)))"""


def made(tier: str) -> Instance:
    """An instance in a store of its own."""
    home = Engine(Config(tier=tier, gc=OFTEN))
    return Linker(home).instantiate(Store(home), Module(TEXT, engine=home))


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ["vectors", "halves"])
def test_an_array_has_room_for_all_that_it_is_long(tier: str, name: str) -> None:
    """What is made behind it is not overwritten, whatever the width of its elements."""
    call = made(tier).exports[name]
    for length in (1, 2, 3, 7, 8, 60, 500):
        assert call(length, 5) == (5, 0)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("length", [1022, 1023, 1024, 1500])
def test_arrays_that_are_too_long_for_holes_live(tier: str, length: int) -> None:
    """From 8 KiB on they have blocks of their own, though the window may have room for them."""
    calls = made(tier).exports
    calls["keep"](length)
    calls["keep"](length)
    assert [calls["sum"](at) for at in range(12)] == [at * length for at in range(12)]
