"""Handles in a store whose guests' objects have no place for any: who looks for them looks through no object."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import pytest

from stratavm import Engine, GcConfig, Linker, Module, Store, StoreLimits
from stratavm.contract.objects import keeps_handles
from stratavm.engine.instance import Instance
from stratavm.spec import types as T
from tests.unit.engine.test_gc import TIERS

TEXT = """(module
  (type $n (struct (field (mut (ref null $n))) (field i64)))
  {more}
  (tag $e (param (ref null $n)))
  (global $list (mut (ref null $n)) (ref.null $n))
  (table $held 4 exnref)
  (func (export "list") (param $k i32)
    (global.set $list (ref.null $n))
    (loop (global.set $list (struct.new $n (global.get $list) (i64.const 1)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "catch") (param $k i32)
    (loop
      (table.set $held (i32.and (local.get $k) (i32.const 3))
        (block $h (result exnref) (try_table (catch_all_ref $h) (throw $e (global.get $list))) (unreachable)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "again") (param i32) (result i64) (local $n (ref null $n))
    (block $caught (result (ref null $n))
      (try_table (catch $e $caught) (throw_ref (table.get $held (local.get 0)))) (unreachable))
    (local.set $n) (struct.get $n 1 (local.get $n)))
  (func (export "take") (param externref))
  (func (export "node") (param i64) (result (ref $n)) (struct.new $n (global.get $list) (local.get 0))))"""
BOX = "(type $box (struct (field externref)))"


class Thing:
    """An object of Python."""


def made(tier: str, more: str = "") -> Instance:
    """The module, with a heap that is collected by generations, and few handles at a time."""
    engine = Engine(tier=tier, gc=GcConfig(generations=True))
    store = Store(engine, limits=StoreLimits(handles=4096))
    return Linker(engine).instantiate(store, Module(TEXT.format(more=more), engine))


def whole_ones(instance: Instance) -> int:
    """How many collections looked at all objects in one pause."""
    seen = instance.store.gc_metrics()
    assert seen is not None
    return seen.collections - seen.minors - seen.cycles


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("more", ["", BOX], ids=["no place", "a place"])
def test_exceptions_that_guests_drop_go(tier: str, more: str) -> None:
    """More of them than there may be; those that a table has stay. With a place in objects all of these are looked
    through, which stands for the rest of the call."""
    instance = made(tier, more)
    call = instance.exports
    call["list"](20_000)
    before = whole_ones(instance)
    call["catch"](12_000)
    assert (whole_ones(instance) == before) == (not more)
    assert [call["again"](at) for at in range(4)] == [1] * 4


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("more", ["", BOX], ids=["no place", "a place"])
def test_objects_of_python_that_guests_drop_go(tier: str, more: str) -> None:
    """They are looked for at the end of a call."""
    instance = made(tier, more)
    call = instance.exports
    call["list"](2_000)
    before = whole_ones(instance)
    things = [Thing() for _ in range(12_000)]
    first = weakref.ref(things[0])
    things.reverse()
    while things:
        call["take"](things.pop())
    gc.collect()
    assert first() is None
    assert (whole_ones(instance) == before) == (not more)


@pytest.mark.parametrize("tier", TIERS)
def test_all_garbage_is_found_all_the_same(tier: str) -> None:
    """By ``Store.gc``: objects, and those that only a Python object had which no guest holds."""
    instance = made(tier)
    call, store = instance.exports, instance.store
    call["list"](20_000)
    owner = SimpleNamespace(thing=call["node"](7))
    call["take"](owner)
    del owner
    call["list"](1)
    while store.gc_for_at_most(1.0, begin=True):
        pass
    seen = store.gc_metrics()
    assert seen is not None and seen.live_bytes >= 20_000 * 32  # the owner's, whom the store has
    assert store.gc() == 1
    seen = store.gc_metrics()
    assert seen is not None and seen.live_bytes < 20_000 * 32
    call["list"](20_000)
    while store.gc_for_at_most(1.0, begin=True):
        pass
    call["list"](1)
    assert store.gc() == 0
    seen = store.gc_metrics()
    assert seen is not None and seen.live_bytes < 20_000 * 32


CONCRETE = T.ref(T.CONCRETE)


@pytest.mark.parametrize(
    ("storage", "keeps"),
    [
        *((T.ref(heap, nullable=null), True) for heap in (T.ANY, T.EXTERN, T.EXN) for null in (True, False)),
        *((T.ref(heap), False) for heap in (T.EQ, T.STRUCT, T.ARRAY, T.I31, T.FUNC, T.NONE, T.NOEXTERN, T.NOEXN)),
        *((storage, False) for storage in (T.I8, T.I16, T.I32, T.I64, T.F32, T.F64, T.V128, CONCRETE)),
    ],
)
def test_which_types_have_a_place_for_a_handle(storage: T.ValType, keeps: bool) -> None:
    """References that may be any object of Python, or an exception."""
    number, one = T.FieldType(T.I32), T.FieldType(storage)
    composites = (T.StructType(()), T.StructType((number, one)), T.ArrayType(one), T.FuncType((storage,), ()))
    module = SimpleNamespace(types=[T.SubType(composite) for composite in composites])
    assert [keeps_handles(module, at) for at in range(4)] == [False, keeps, keeps, False]
