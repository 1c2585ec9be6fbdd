"""References to guests' objects: which handles are free inside of a call, and which bits a guest may be given."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from stratavm import Config, Engine, Module, Store, StoreLimits
from stratavm.engine import Linker
from stratavm.engine.instance import Instance
from stratavm.runtime.globals import Global
from stratavm.runtime.table import Table

TIERS = ("oracle", "jit0", "jit1", "auto")


def made(text: str, tier: str, fuel: int | None = None, **limits: int) -> Instance:
    """An instance in a store of its own."""
    home = Engine(Config(tier=tier, fuel=fuel is not None))
    store = Store(home, limits=StoreLimits(**limits), fuel=fuel)
    return Linker(home).instantiate(store, Module(text, engine=home))


CHURN = """(func (export "churn") (param $k i32)
    (loop (drop (struct.new $s (i32.const 7)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (table $t 700 anyref)
  (func $fill (local $i i32)
    (loop (table.set $t (local.get $i) (struct.new $s (local.get $i)))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 700)))))
  (start $fill)"""
"""And so many handles that those of others are numbers which no other word of a stack is."""

OUTSIDE = f"""(module
  (type $s (struct (field i32)))
  (type $box (struct (field externref)))
  (type $row (array externref))
  (global $b (mut (ref null $box)) (ref.null $box))
  (global $r (mut (ref null $row)) (ref.null $row))
  (global $g (mut externref) (ref.null extern))
  (func $new (result externref) (extern.convert_any (struct.new $s (i32.const 42))))
  (func (export "make")
    (global.set $b (struct.new $box (call $new))) (global.set $r (array.new_fixed $row 1 (call $new))))
  (func (export "take") (global.set $g (struct.get $box 0 (global.get $b))))
  (func (export "pick") (global.set $g (array.get $row (global.get $r) (i32.const 0))))
  (func (export "look") (result i32)
    (struct.get $s 0 (ref.cast (ref $s) (any.convert_extern (global.get $g)))))
  {CHURN})"""


@pytest.mark.parametrize("take", ["take", "pick"])
@pytest.mark.parametrize("tier", TIERS)
def test_an_externref_out_of_a_field_lies_where_any_object_may(tier: str, take: str) -> None:
    """A global of externrefs has it, and nobody looks there inside of a call."""
    instance = made(OUTSIDE, tier)
    call = instance.exports
    call["make"]()
    instance.store.gc()
    call[take]()
    call["churn"](5000)
    assert call["look"]() == 42


RAW = f"""(module
  (type $s (struct (field (mut i32))))
  (type $f (func (result i32)))
  (type $o (struct (field (ref null $f))))
  (type $a (array i8))
  (func (export "new") (param i32) (result (ref $s)) (struct.new $s (local.get 0)))
  (func (export "other") (result (ref $o)) (struct.new $o (ref.null $f)))
  (func (export "array") (result (ref $a)) (array.new_default $a (i32.const 2)))
  (func (export "get") (param (ref $s)) (result i32) (struct.get $s 0 (local.get 0)))
  (func (export "maybe") (param (ref null $s)) (result i32) (ref.is_null (local.get 0)))
  (func (export "eq") (param eqref) (result i32) (ref.test i31ref (local.get 0)))
  (func (export "any") (param anyref) (result i32) (ref.is_null (local.get 0)))
  (func (export "none") (param nullref) (result i32) (ref.is_null (local.get 0)))
  (func (export "row") (param arrayref) (result i32) (array.len (local.get 0)))
  (global (export "g") (mut (ref null $s)) (ref.null $s))
  (table (export "ts") 2 (ref null $s))
  {CHURN})"""
NUMBER = 1 << 63 | 5


@pytest.mark.parametrize("tier", TIERS)
def test_a_raw_result_stays_while_the_host_has_it(tier: str) -> None:
    """Inside of the next call, whose frames do not have it."""
    call = made(RAW, tier).exports
    first = call["new"].call_raw([42])[0]
    call["churn"](5000)
    assert call["get"].call_raw([first]) == [42]


@pytest.mark.parametrize("tier", TIERS)
def test_raw_references_to_objects_are_looked_at(tier: str) -> None:
    """As arguments, in globals and in tables: a guest believes its types."""
    instance = made(RAW, tier)
    call = instance.exports
    thing, other, array = (call[n].call_raw([3] * (n == "new"))[0] for n in ("new", "other", "array"))
    own = instance.store.extern_to_raw(object())
    fits = (
        ("get", thing, 3),
        ("maybe", thing, 0),
        ("maybe", 0, 1),
        ("eq", thing, 0),
        ("eq", array, 0),
        ("eq", NUMBER, 1),
        ("any", own, 0),
        ("any", other, 0),
        ("any", NUMBER, 0),
        ("none", 0, 1),
        ("row", array, 2),
    )
    for name, bits, found in fits:
        assert call[name].call_raw([bits]) == [found], name
    fits_not = (
        *(("get", bits) for bits in (0, other, array, own, NUMBER, 100_000)),
        *(("maybe", bits) for bits in (other, NUMBER, own)),
        *(("eq", bits) for bits in (own, 1 << 63 | 1 << 40, 100_000)),
        *(("row", bits) for bits in (thing, NUMBER)),
        ("none", thing),
    )
    for name, bits in fits_not:
        with pytest.raises(ValueError, match="is no"):
            call[name].call_raw([bits])
    variable, table = call["g"], call["ts"]
    assert isinstance(variable, Global)
    assert isinstance(table, Table)
    for put in (
        lambda bits: setattr(variable, "bits", bits),
        lambda bits: table.set(0, bits),
        lambda bits: table.extend(1, bits),
        lambda bits: Table(instance.store, table.type, bits),
        lambda bits: Global(instance.store, variable.type, bits),
    ):
        put(thing)
        put(0)
        for bits in (other, array, own, NUMBER):
            with pytest.raises(ValueError, match="is no"):
                put(bits)


NESTED = f"""(module
  (type $s (struct (field i32)))
  (type $a (array i32))
  (func (export "check") (param $k i32) (local $l (ref null $a))
    (loop
      (local.set $l (array.new $a (local.get $k) (i32.add (i32.const 3000) (i32.and (local.get $k) (i32.const 1)))))
      (if (i32.ne (array.get $a (local.get $l) (i32.const 2)) (local.get $k)) (then (unreachable)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  {CHURN})"""


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_what_the_host_runs_between_a_row_and_its_guest(tier: str) -> None:
    """A finalizer, a signal handler, or as here a profiler: when the new object, a large one, is nowhere yet it calls
    the guest, and that drops so many that it is time to look at who holds what."""
    instance = made(NESTED, tier)
    churn, left = instance.exports["churn"], [12]

    def nag(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code.co_name == "put" and left[0]:
            left[0] -= 1
            churn(2000)

    before = sys.getprofile()
    sys.setprofile(nag)
    try:
        instance.exports["check"](300)
    finally:
        sys.setprofile(before)
    assert left == [0]


HELD = """(module
  (type $s (struct (field i32)))
  (global $g (ref $s) (struct.new $s (i32.const 1)))
  (table $t 1 (ref $s) (struct.new $s (i32.const 2)))
  (table $k 2 (ref null $s))
  (elem $e (ref $s) (item (struct.new $s (i32.const 3))) (item (struct.new $s (i32.const 4))))
  (func (export "sum") (result i32)
    (table.init $k $e (i32.const 0) (i32.const 0) (i32.const 2))
    (i32.add (i32.add (struct.get $s 0 (global.get $g)) (struct.get $s 0 (table.get $t (i32.const 0))))
      (i32.mul (i32.const 16)
        (i32.add (struct.get $s 0 (table.get $k (i32.const 0)))
          (i32.mul (i32.const 16) (struct.get $s 0 (table.get $k (i32.const 1)))))))))"""


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_what_the_host_runs_while_an_instance_is_made(tier: str) -> None:
    """The same for objects of constant expressions, in globals, tables and element segments."""
    instance = made(NESTED, tier)
    churn, seen = instance.exports["churn"], [0]

    def nag(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code.co_name == "new_struct":
            seen[0] += 1
            churn(2000)

    home = instance.store.engine
    module, before = Module(HELD, engine=home), sys.getprofile()
    sys.setprofile(nag)
    try:
        held = Linker(home).instantiate(instance.store, module)
    finally:
        sys.setprofile(before)
    assert seen == [4]
    assert held.exports["sum"]() == 0x433


NUMBERED = """(module (tag $e (param externref))
  (func (export "f") (result i32) (local $x exnref)
    (block $h (result exnref)
      (try_table (catch_all_ref $h) (throw $e (extern.convert_any (ref.i31 (i32.const 5))))) (unreachable))
    (local.set $x)
    (block $k (result externref)
      (try_table (catch $e $k) (throw_ref (local.get $x))) (unreachable))
    (i31.get_s (ref.cast (ref i31) (any.convert_extern)))))"""


@pytest.mark.parametrize("tier", TIERS)
def test_a_number_that_went_outside_comes_back_out_of_an_exception(tier: str) -> None:
    """As what it was when it was thrown: an object among any others."""
    assert made(NUMBERED, tier).exports["f"]() == 5


NAMED = """(module
  (type $s (struct (field i32)))
  (func (export "is") (param externref) (result i32) (ref.test (ref $s) (any.convert_extern (local.get 0))))
  (func (export "give") (result externref) (extern.convert_any (struct.new $s (i32.const 3)))))"""


@pytest.mark.parametrize("tier", TIERS)
def test_a_class_of_the_host_may_have_any_name(tier: str) -> None:
    """Guests' objects are known by their class."""
    call = made(NAMED, tier).exports
    theirs = type("GuestObject", (), {"type_id": call["give"]().type_id})()
    assert call["is"](theirs) == 0
    assert call["is"](call["give"]()) == 1


DATA = """(module
  (type $a (array i8))
  (data $d "0123456789012345678901234567890123456789")
  (func (export "f") (param $k i32)
    (loop (drop (array.new_data $a $d (i32.const 0) (i32.const 40)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))))"""


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_fuel_does_not_depend_on_how_full_the_handles_are(tier: str) -> None:
    """A row that is done again when guests have dropped something takes it once."""
    few, many = (made(DATA, tier, fuel=1_000_000, handles=handles) for handles in (5, 5000))
    for instance in (few, many):
        instance.exports["f"](300)
    assert few.store.fuel == many.store.fuel < 1_000_000
