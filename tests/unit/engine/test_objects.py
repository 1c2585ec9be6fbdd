"""Structs, arrays and i31 in engines of all tiers: who holds them, what they cost, what crosses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from stratavm import (
    Config,
    Engine,
    GuestObject,
    LinkError,
    Module,
    Store,
    StoreLimits,
    Trap,
    ValidationError,
    WasmException,
)
from stratavm.base.errors import OutOfFuel, ResourceLimit
from stratavm.engine import Linker
from stratavm.engine.instance import Instance
from stratavm.module.features import DEFAULT

CELLS = """(module
  (type $n (struct (field $next (mut (ref null $n))) (field $v (mut i32))))
  (type $a (array (mut anyref)))
  (table $t (export "table") 4 anyref)
  (global $g (export "global") (mut (ref null $n)) (ref.null $n))
  (global $first (ref $n) (struct.new $n (ref.null $n) (i32.const 77)))
  (elem $kept (ref null $n) (item (struct.new $n (ref.null $n) (i32.const 88))))
  (func (export "chain") (param $k i32) (local $at (ref null $n))
    (loop (local.set $at (struct.new $n (local.get $at) (local.get $k)))
      (local.set $k (i32.sub (local.get $k) (i32.const 1)))
      (br_if 0 (local.get $k)))
    (global.set $g (local.get $at)))
  (func (export "sum") (result i32) (local $at (ref null $n)) (local $s i32)
    (local.set $at (global.get $g))
    (block (loop
      (br_if 1 (ref.is_null (local.get $at)))
      (local.set $s (i32.add (local.get $s) (struct.get $n $v (local.get $at))))
      (local.set $at (struct.get $n $next (local.get $at)))
      (br 0)))
    (local.get $s))
  (func (export "garbage") (param $k i32)
    (loop (drop (struct.new_default $n))
      (local.set $k (i32.sub (local.get $k) (i32.const 1)))
      (br_if 0 (local.get $k))))
  (func (export "first") (result i32) (struct.get $n $v (global.get $first)))
  (func (export "kept") (result i32)
    (table.init $t $kept (i32.const 2) (i32.const 0) (i32.const 1))
    (struct.get $n $v (ref.cast (ref $n) (table.get $t (i32.const 2)))))
  (func (export "put") (param $v i32)
    (table.set $t (i32.const 0) (struct.new $n (ref.null $n) (local.get $v)))
    (table.set $t (i32.const 1) (table.get $t (i32.const 0))))
  (func (export "same") (result i32)
    (ref.eq (ref.cast eqref (table.get $t (i32.const 0))) (ref.cast eqref (table.get $t (i32.const 1)))))
  (func (export "got") (result i32) (struct.get $n $v (ref.cast (ref $n) (table.get $t (i32.const 1)))))
  (func (export "large") (param i32) (result i32) (array.len (array.new_default $a (local.get 0))))
  (func (export "circle") (local $at (ref $n))
    (local.set $at (struct.new_default $n))
    (struct.set $n $next (local.get $at) (local.get $at)))
)"""


CELL_BYTES: Final = 32
"""What a ``$n`` takes: a header and two fields, in granules of 16 bytes."""
BLOCK_BYTES: Final = 1 << 15
TIER = ["oracle"]


@pytest.fixture(params=["oracle", "jit0", "jit1", "auto"], autouse=True)
def tier(request: pytest.FixtureRequest) -> Iterator[str]:
    """What runs the guests of each test."""
    TIER[0] = request.param
    yield request.param
    TIER[0] = "oracle"


def engine(**options: object) -> Engine:
    """One whose guests may have objects."""
    return Engine(Config(tier=TIER[0], **options))


def made(text: str, home: Engine | None = None, **limits: int) -> tuple[Store, Instance]:
    """An instance in a store of its own."""
    home = home or engine()
    store = Store(home, limits=StoreLimits(**limits)) if limits else Store(home)
    return store, Linker(home).instantiate(store, Module(text, engine=home))


def test_what_is_held_stays_and_what_is_not_goes() -> None:
    """A list hangs from a global; objects that nothing holds give back their handles and bytes after the call."""
    store, instance = made(CELLS)
    before = store.bytes_held
    instance.exports["chain"](3000)
    assert instance.exports["sum"]() == 3000 * 3001 // 2
    held = store.bytes_held
    for _ in range(5):
        instance.exports["garbage"](3000)
    store.gc()
    assert instance.exports["sum"]() == 3000 * 3001 // 2
    assert store.bytes_held - before >= 3000 * CELL_BYTES - BLOCK_BYTES
    assert store.bytes_held <= held + BLOCK_BYTES
    instance.exports["chain"](1)
    store.gc()
    assert store.bytes_held <= before + BLOCK_BYTES


def test_objects_of_constant_expressions_outlive_collections() -> None:
    """In an immutable global, and in an element segment that has not been used yet."""
    store, instance = made(CELLS)
    instance.exports["garbage"](3000)
    store.gc()
    assert instance.exports["first"]() == 77
    instance.exports["garbage"](3000)
    store.gc()
    assert instance.exports["kept"]() == 88


def test_an_object_is_the_same_wherever_it_lies() -> None:
    """After collections, and after its handle has gone and come again."""
    store, instance = made(CELLS)
    instance.exports["put"](5)
    for _ in range(3):
        instance.exports["garbage"](2000)
        store.gc()
    assert instance.exports["same"]() == 1
    assert instance.exports["got"]() == 5
    instance.exports["put"](6)
    assert instance.exports["got"]() == 6


def test_circles_go() -> None:
    """An object that holds itself is garbage once nothing else does."""
    store, instance = made(CELLS)
    before = store.bytes_held
    for _ in range(3000):
        instance.exports["circle"]()
    assert store.bytes_held > before
    store.gc()
    assert store.bytes_held <= before


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF, 1 << 20])
def test_an_array_beyond_the_budget_is_an_error_of_limits(size: int) -> None:
    """Before anything is taken."""
    store, instance = made(CELLS, total_bytes=1 << 20)
    held = store.bytes_held
    with pytest.raises(ResourceLimit, match=r"an array \$a of"):
        instance.exports["large"].call_raw([size])
    assert store.bytes_held == held
    assert instance.exports["large"](100) == 100


def test_objects_that_a_guest_drops_make_room_inside_of_the_call(tier: str) -> None:
    """Many times what the store may hold."""
    store, instance = made(CELLS, total_bytes=1 << 18)
    instance.exports["garbage"](3000 if tier == "oracle" else 100_000)
    with pytest.raises(ResourceLimit, match=r"a struct( \$\w+)? of \d+ bytes does not fit"):
        instance.exports["chain"](10_000)
    instance.exports["garbage"](3000)
    assert store.bytes_held <= 1 << 18


HOLDERS = """(module
  (type $n (struct (field $v i32)))
  (tag $e (param (ref $n)))
  (global $g (mut (ref null $n)) (ref.null $n))
  (global $x (mut externref) (ref.null extern))
  (table $t 4 (ref null $n))
  (func $churn (param $k i32)
    (loop (drop (struct.new $n (local.get $k)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func $inner (param $k i32) (throw $e (struct.new $n (i32.const 5))))
  (func (export "held") (param $k i32) (result i32) (local $l (ref $n)) (local $c (ref null $n))
    (global.set $g (struct.new $n (i32.const 1)))
    (table.set $t (i32.const 2) (struct.new $n (i32.const 2)))
    (global.set $x (extern.convert_any (struct.new $n (i32.const 3))))
    (local.set $l (struct.new $n (i32.const 4)))
    (local.set $c (block $h (result (ref $n)) (try_table (catch $e $h) (call $inner (local.get $k))) (unreachable)))
    (call $churn (local.get $k))
    (i32.add (struct.get $n $v (global.get $g))
      (i32.add (i32.shl (struct.get $n $v (table.get $t (i32.const 2))) (i32.const 4))
        (i32.add (i32.shl (struct.get $n $v (ref.cast (ref $n) (any.convert_extern (global.get $x)))) (i32.const 8))
          (i32.add (i32.shl (struct.get $n $v (local.get $l)) (i32.const 12))
            (i32.shl (struct.get $n $v (local.get $c)) (i32.const 16)))))))
)"""


def test_what_a_guest_holds_outlives_what_it_drops_inside_of_a_call(tier: str) -> None:
    """In a global, in a table, as an externref, in a local, and what an exception brought."""
    _, instance = made(HOLDERS, handles=60)
    assert instance.exports["held"](40 if tier == "oracle" else 5_000) == 0x54321


def test_fuel_is_taken_for_elements() -> None:
    """As for those of tables: when they are made, and when they are filled."""
    home = engine(fuel=True)
    text = """(module (type $a (array (mut i8))) (func (export "f") (param i32)
      (array.fill $a (array.new_default $a (local.get 0)) (i32.const 0) (i32.const 7) (local.get 0))))"""
    store = Store(home, fuel=1000)
    instance = Linker(home).instantiate(store, Module(text, engine=home))
    instance.exports["f"](100)
    assert 200 < 1000 - store.fuel < 230
    with pytest.raises(OutOfFuel):
        instance.exports["f"](100_000)


CROSSING = """(module
  (type $s (struct (field i32)))
  (tag $e (export "e") (param anyref (ref $s)))
  (func (export "out") (param i32) (result externref) (extern.convert_any (struct.new $s (local.get 0))))
  (func (export "number") (param i32) (result externref) (extern.convert_any (ref.i31 (local.get 0))))
  (func (export "in") (param externref) (result i32)
    (struct.get $s 0 (ref.cast (ref $s) (any.convert_extern (local.get 0)))))
  (func (export "number_in") (param externref) (result i32)
    (i31.get_s (ref.cast (ref i31) (any.convert_extern (local.get 0)))))
  (func (export "is_ours") (param externref) (result i32) (ref.test eqref (any.convert_extern (local.get 0))))
  (func (export "round") (param externref) (result externref)
    (extern.convert_any (any.convert_extern (local.get 0))))
  (func (export "throw") (throw $e (ref.i31 (i32.const 3)) (struct.new $s (i32.const 9))))
  (func $throw (param i32) (throw $e (ref.i31 (local.get 0)) (struct.new $s (i32.const 9))))
  (func (export "caught") (param i32) (result i32) (local $s (ref null $s))
    (block $h (result anyref (ref $s))
      (try_table (catch $e $h) (call $throw (local.get 0)))
      (unreachable))
    (local.set $s)
    (i32.add (i31.get_s (ref.cast (ref i31))) (struct.get $s 0 (local.get $s))))
  (global $kept (mut exnref) (ref.null exn))
  (func (export "keep") (param i32)
    (block $h (result exnref)
      (try_table (catch_all_ref $h) (call $throw (local.get 0)))
      (unreachable))
    (global.set $kept))
  (func (export "again") (result i32) (local $s (ref null $s))
    (block $h (result anyref (ref $s))
      (try_table (catch $e $h) (throw_ref (global.get $kept)))
      (unreachable))
    (local.set $s)
    (i32.add (i31.get_s (ref.cast (ref i31))) (struct.get $s 0 (local.get $s))))
)"""


def test_references_to_objects_cross_as_externrefs() -> None:
    """What went out as an externref comes in again as what it was."""
    _, instance = made(CROSSING)
    exports = instance.exports
    thing = exports["out"](41)
    assert repr(thing) == "<struct $s of a guest, 1 value>"
    assert exports["in"](thing) == 41
    assert exports["is_ours"](thing) == 1
    assert exports["round"](thing) is thing
    number = exports["number"](-5)
    assert number == -5
    assert exports["number_in"](number) == -5
    own = object()
    assert exports["round"](own) is own
    assert exports["is_ours"](own) == 0
    assert exports["round"](None) is None
    with pytest.raises(Trap, match="cast failure"):
        exports["in"](own)


def test_exceptions_carry_objects() -> None:
    """To a handler, in a reference that is kept over collections, and out of the guest."""
    store, instance = made(CROSSING)
    assert instance.exports["caught"](-7) == 2
    instance.exports["keep"](20)
    for _ in range(3):
        store.gc()
    assert instance.exports["again"]() == 29
    with pytest.raises(WasmException) as caught:
        instance.exports["throw"]()
    assert isinstance(caught.value.values[1], GuestObject)


IN_OBJECTS = """(module
  (type $s (struct (field $x (mut externref)) (field $e (mut exnref)) (field $f (mut funcref))))
  (tag $t (param i32))
  (global $g (ref $s) (struct.new_default $s))
  (func $seven (result i32) (i32.const 7)) (elem declare func $seven)
  (type $sig (func (result i32)))
  (func (export "put") (param externref)
    (struct.set $s $x (global.get $g) (local.get 0))
    (struct.set $s $f (global.get $g) (ref.func $seven))
    (struct.set $s $e (global.get $g)
      (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t (i32.const 6))) (unreachable))))
  (func (export "x") (result externref) (struct.get $s $x (global.get $g)))
  (func (export "f") (result i32) (call_ref $sig (ref.cast (ref $sig) (struct.get $s $f (global.get $g)))))
  (func (export "e") (result i32)
    (block $h (result i32) (try_table (catch $t $h) (throw_ref (struct.get $s $e (global.get $g)))) (unreachable)))
)"""


def test_objects_hold_what_came_from_outside() -> None:
    """A Python object and an exception that only a field holds outlive collections; it goes with the field."""
    store, instance = made(IN_OBJECTS)
    own = object()
    instance.exports["put"](own)
    for _ in range(3):
        store.gc()
    assert instance.exports["x"]() is own
    assert instance.exports["f"]() == 7
    assert instance.exports["e"]() == 6


HOME = """(module
  (type $s (sub (struct (field i32)))) (type $t (sub $s (struct (field i32) (field i64))))
  (type $a (array i8))
  (global (export "g") (ref $t) (struct.new $t (i32.const 5) (i64.const 6)))
  (table (export "t") 1 (ref null $t))
  (func (export "f") (param (ref null $s)) (result i32) (struct.get $s 0 (local.get 0)))
)"""
FITS = (
    '(import "m" "g" (global (ref $t)))',
    '(import "m" "g" (global (ref null $s)))',
    '(import "m" "g" (global (ref eq)))',
    '(import "m" "g" (global structref))',
    '(import "m" "t" (table 1 (ref null $t)))',
    '(import "m" "f" (func (param (ref null $s)) (result i32)))',
)
FITS_NOT = (
    '(import "m" "g" (global arrayref))',
    '(import "m" "g" (global (ref $a)))',
    '(import "m" "g" (global (ref $other)))',
    '(import "m" "g" (global externref))',
    '(import "m" "t" (table 1 (ref null $s)))',
    '(import "m" "t" (table 1 anyref))',
    '(import "m" "f" (func (param (ref null $t)) (result i32)))',
)
TYPES = """(type $s (sub (struct (field i32)))) (type $t (sub $s (struct (field i32) (field i64)))) (type $a (array i8))
  (type $other (struct (field i32) (field i64)))"""


@pytest.mark.parametrize(("wanted", "fits"), [*((w, True) for w in FITS), *((w, False) for w in FITS_NOT)])
def test_imports_match_by_subtyping(wanted: str, fits: bool) -> None:
    """Types of two modules are the same by structure, and below each other as declared."""
    home = engine()
    store, linker = Store(home), Linker(home)
    linker.define_instance("m", linker.instantiate(store, Module(HOME, engine=home)))
    module = Module(f"(module {TYPES} {wanted})", engine=home)
    if fits:
        linker.instantiate(store, module)
    else:
        with pytest.raises(LinkError, match="incompatible import type"):
            linker.instantiate(store, module)


def test_objects_of_one_module_are_known_to_another() -> None:
    """A cast looks at what the type is, not at who made the object."""
    home = engine()
    store, linker = Store(home), Linker(home)
    linker.define_instance("m", linker.instantiate(store, Module(HOME, engine=home)))
    text = f"""(module {TYPES} (import "m" "g" (global $g (ref eq)))
      (func (export "t") (result i32 i32 i32)
        (ref.test (ref $t) (global.get $g)) (ref.test (ref $s) (global.get $g)) (ref.test (ref $other) (global.get $g)))
      (func (export "v") (result i32) (struct.get $s 0 (ref.cast (ref $s) (global.get $g)))))"""
    instance = linker.instantiate(store, Module(text, engine=home))
    assert instance.exports["t"]() == (1, 1, 0)
    assert instance.exports["v"]() == 5


def test_nobody_has_objects_who_switches_the_proposal_off(tier: str) -> None:
    """They are refused by its name, with what to do."""
    with pytest.raises(ValidationError, match="needs the proposal gc, which is switched off") as caught:
        Module(CELLS, engine=Engine(Config(tier=tier, features=DEFAULT - {"gc"})))
    assert "leave Config.features at its default, or add 'gc' to it" in caught.value.hint
    Module(CELLS, engine=Engine(Config(tier=tier)))


def test_numbers_in_references_and_what_no_reference_is_need_no_object() -> None:
    """They are instructions: edges of 31 bits, signs, equality, hierarchies whose types all or none are of."""
    _, instance = made("""(module
      (type $f (sub (func))) (type $g (sub $f (func))) (elem declare func $h) (func $h (type $g))
      (func (export "s") (param i32) (result i32) (i31.get_s (ref.i31 (local.get 0))))
      (func (export "u") (param i32) (result i32) (i31.get_u (ref.i31 (local.get 0))))
      (func (export "none") (result i32) (i31.get_u (ref.null i31)))
      (func (export "eq") (param i32 i32) (result i32) (ref.eq (ref.i31 (local.get 0)) (ref.i31 (local.get 1))))
      (func (export "is") (param $null i32) (result i32) (local $r anyref)
        (if (i32.eqz (local.get $null)) (then (local.set $r (ref.i31 (i32.const 0)))))
        (i32.or (ref.test (ref i31) (local.get $r))
         (i32.or (i32.shl (ref.test (ref null any) (local.get $r)) (i32.const 1))
          (i32.or (i32.shl (ref.test (ref any) (local.get $r)) (i32.const 2))
            (i32.or (i32.shl (ref.test (ref none) (local.get $r)) (i32.const 3))
              (i32.or (i32.shl (ref.test (ref null none) (local.get $r)) (i32.const 4))
                (i32.or (i32.shl (ref.test (ref null eq) (local.get $r)) (i32.const 5))
                  (i32.shl (ref.test (ref struct) (local.get $r)) (i32.const 6)))))))))
      (func (export "of") (result i32) (local $r funcref)
        (local.set $r (ref.func $h))
        (i32.or (ref.test (ref $f) (local.get $r)) (i32.or (i32.shl (ref.test (ref $g) (local.get $r)) (i32.const 1))
          (i32.shl (ref.test (ref nofunc) (local.get $r)) (i32.const 2)))))
      (func (export "cast") (drop (ref.cast (ref $f) (ref.null $g)))))""")
    call = instance.exports
    for number in (0, 1, -1, 0x3FFF_FFFF, 0x4000_0000, -0x4000_0000, 0x7FFF_FFFF, -0x8000_0000):
        low = number & 0x7FFF_FFFF
        assert call["u"](number) == low
        assert call["s"](number) == (low ^ 0x4000_0000) - 0x4000_0000
    assert (call["eq"](5, 5), call["eq"](5, 6), call["eq"](5, 5 - 0x8000_0000)) == (1, 0, 1)
    assert (call["is"](0), call["is"](1)) == (0b0100111, 0b0110010)
    assert call["of"]() == 0b011
    for name, kind in (("none", "null_i31"), ("cast", "cast_failure")):
        with pytest.raises(Trap) as caught:
            call[name]()
        assert caught.value.kind == kind


def test_a_number_becomes_a_reference_in_a_loop_that_does_not_change_it() -> None:
    """Level 0 computes it before the loop."""
    _, instance = made("""(module (func (export "f") (param $v i32) (param $k i32) (result i32) (local $s i32)
      (loop (local.set $s (i32.add (local.get $s) (i31.get_u (ref.i31 (local.get $v)))))
        (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (local.get $s)))""")
    assert instance.exports["f"](7, 6) == 42
