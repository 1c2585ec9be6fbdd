"""An access outside of an array says what was wanted and how long the array is, and where that was, on all tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from stratavm import Config, Engine, Func, Module, Store, Trap
from stratavm.engine import Linker
from stratavm.spec.types import FuncType
from tests.unit.engine.exported import trapped

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance

TIERS: Final = ("oracle", "jit0", "jit1")
CROWD: Final = range(3, 17)
CROWDED: Final = f"""
  (func (export "crowded") (param (ref null $numbers) i32 i64) (result i64)
    (local {"i64 " * len(CROWD)})
    {" ".join(f"(local.set {i} (i64.mul (local.get 2) (i64.const {i})))" for i in CROWD)}
    (loop
      {" ".join(f"(local.set {i} (i64.add (local.get {i}) (local.get {i - 1})))" for i in CROWD)}
      (local.set 2 (i64.add (local.get 2) (i64.extend_i32_u (array.get $numbers (local.get 0) (local.get 1)))))
      (br_if 0 (i64.lt_u (local.get 2) (i64.const 100))))
    {" ".join(f"(i64.xor (local.get {i})" for i in CROWD)} (local.get 2) {")" * len(CROWD)})"""
"""More values than there are registers."""
SOURCE: Final = f"""(module
  (type $numbers (array (mut i32)))
  (type $bytes (array (mut i8)))
  (type $wide (array (mut v128)))
  (type $rows (array (mut (ref null $numbers))))
  (type $functions (array (mut funcref)))
  (data $data "0123456789")
  (elem $elem func $nothing $nothing)
  (func $nothing)
  (func $numbers (result (ref $numbers)) (array.new_default $numbers (i32.const 3)))
  (func (export "get") (param i32) (result i32) (array.get $numbers (call $numbers) (local.get 0)))
  (func (export "set") (param i32) (array.set $numbers (call $numbers) (local.get 0) (i32.const 1)))
  (func (export "get_s") (param i32) (result i32)
    (array.get_s $bytes (array.new_default $bytes (i32.const 1)) (local.get 0)))
  (func (export "get_v128") (param i32) (result v128)
    (array.get $wide (array.new_default $wide (i32.const 2)) (local.get 0)))
  (func (export "set_row") (param i32)
    (array.set $rows (array.new_default $rows (i32.const 0)) (local.get 0) (call $numbers)))
  (func (export "constant") (result i32) (array.get $numbers (call $numbers) (i32.const 70000)))
  (func (export "dropped") (param i32) (drop (array.get $numbers (call $numbers) (local.get 0))))
  (func $given (export "given") (param (ref null $numbers) i32) (result i32)
    (array.get $numbers (local.get 0) (local.get 1)))
  (func (export "called") (param i32) (result i32)
    (i32.add (i32.const 1) (call $given (call $numbers) (local.get 0))))
  (func (export "sum") (param i32) (result i32) (local (ref null $numbers) i32 i32)
    (local.set 1 (call $numbers))
    (loop
      (local.set 3 (i32.add (local.get 3) (array.get $numbers (local.get 1) (local.get 2))))
      (local.set 2 (i32.add (local.get 2) (i32.const 1)))
      (br_if 0 (i32.lt_u (local.get 2) (local.get 0))))
    (local.get 3))
  (func (export "numbers") (result (ref $numbers)) (call $numbers)){CROWDED}
  (func (export "fill") (param i32 i32)
    (array.fill $numbers (call $numbers) (local.get 0) (i32.const 7) (local.get 1)))
  (func (export "copy") (param i32 i32 i32)
    (array.copy $numbers $numbers (call $numbers) (local.get 0)
      (array.new_default $numbers (i32.const 9)) (local.get 1) (local.get 2)))
  (func (export "init_data") (param i32 i32 i32)
    (array.init_data $numbers $data (call $numbers) (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init_elem") (param i32 i32 i32)
    (array.init_elem $functions $elem (array.new_default $functions (i32.const 3))
      (local.get 0) (local.get 1) (local.get 2)))
  (func (export "new_data") (param i32 i32) (result i32)
    (array.len (array.new_data $numbers $data (local.get 0) (local.get 1))))
  (func (export "new_elem") (param i32 i32) (result i32)
    (array.len (array.new_elem $functions $elem (local.get 0) (local.get 1))))
  (func (export "fill_null") (array.fill $numbers (ref.null $numbers) (i32.const 0) (i32.const 7) (i32.const 9))))"""
ARRAY: Final = "out of bounds array access: "
DATA: Final = "out of bounds memory access: {} of 4 bytes from byte {}, data segment 0 has 10"
ELEM: Final = "out of bounds table access: {} at {}, element segment 0 has 2"


@pytest.fixture(scope="module", params=TIERS)
def instance(request: pytest.FixtureRequest) -> Instance:
    """An instance on a tier."""
    engine = Engine(Config(tier=request.param))
    return Linker(engine).instantiate(Store(engine), Module(SOURCE, engine=engine))


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("get", (3,), f"{ARRAY}1 element at 3, the array has 3"),
        ("get", (-1,), f"{ARRAY}1 element at 4294967295, the array has 3"),
        ("set", (1 << 30,), f"{ARRAY}1 element at 1073741824, the array has 3"),
        ("get_s", (1,), f"{ARRAY}1 element at 1, the array has 1"),
        ("get_v128", (2,), f"{ARRAY}1 element at 2, the array has 2"),
        ("set_row", (0,), f"{ARRAY}1 element at 0, the array has 0"),
        ("constant", (), f"{ARRAY}1 element at 70000, the array has 3"),
        ("dropped", (5,), f"{ARRAY}1 element at 5, the array has 3"),
        ("called", (8,), f"{ARRAY}1 element at 8, the array has 3"),
        ("sum", (9,), f"{ARRAY}1 element at 3, the array has 3"),
        ("fill", (1, 3), f"{ARRAY}3 elements at 1, the array has 3"),
        ("fill", (-1, 1), f"{ARRAY}1 element at 4294967295, the array has 3"),
        ("copy", (0, 0, 4), f"{ARRAY}4 elements at 0, the array has 3"),
        ("copy", (0, 7, 3), f"{ARRAY}3 elements at 7, the array has 9"),
        ("init_data", (2, 0, 2), f"{ARRAY}2 elements at 2, the array has 3"),
        ("init_data", (0, 3, 2), DATA.format("2 elements", 3)),
        ("init_elem", (2, 0, 2), f"{ARRAY}2 elements at 2, the array has 3"),
        ("init_elem", (0, 1, 2), ELEM.format("2 elements", 1)),
        ("new_data", (7, 1), DATA.format("1 element", 7)),
        ("new_elem", (0, 3), ELEM.format("3 elements", 0)),
    ],
)
def test_what_was_wanted_and_how_long_it_is(instance, name, values, said):
    """A message as of a memory: how much, where, and what there is."""
    assert str(trapped(instance, name, *values)) == said


@pytest.mark.parametrize("name", ["given", "crowded"])
def test_where_values_come_from_outside_and_where_registers_are_scarce(instance, name):
    """Without a frame; and where values are in the frame and come back into registers."""
    array = instance.exports.numbers()
    more = (1,) if name == "crowded" else ()
    assert str(trapped(instance, name, array, 17, *more)) == f"{ARRAY}1 element at 17, the array has 3"
    assert str(trapped(instance, name, None, 17, *more)) == "null array reference"


@pytest.mark.parametrize(("name", "values"), [("get", (3,)), ("called", (3,)), ("fill", (1, 3)), ("new_data", (7, 1))])
def test_a_trap_has_its_frames_whoever_found_it(instance, name, values):
    """Its own, once, also where a builtin raised it; and what raised it is nobody's traceback."""
    trap = trapped(instance, name, *values)
    assert trap.frames[-1].name == name
    notes = trap.__notes__
    assert len(notes) == 1
    assert notes[0].count(f"{name} at") == 1


def test_a_builtin_that_finds_null_says_no_more(instance):
    """There is nothing to say."""
    trap = trapped(instance, "fill_null")
    assert str(trap) == "null array reference"
    assert [frame.name for frame in trap.frames] == ["fill_null"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_trap_that_a_host_function_raises_has_the_frames_that_it_leaves(tier):
    """On all tiers; one that is raised again, those of its last raising."""
    engine = Engine(Config(tier=tier))
    store = Store(engine)
    known = Trap("unreachable")

    def refuse() -> None:
        raise known

    text = """(module (import "host" "f" (func $f)) (func (export "one") (call $f))
      (func (export "two") (call $f)))"""
    linker = Linker(engine)
    linker.define("host", "f", Func.from_callable(store, FuncType(), refuse))
    instance = linker.instantiate(store, Module(text, engine=engine))
    fresh = trapped(instance, "one")
    assert [frame.name for frame in fresh.frames] == ["one"]
    again = trapped(instance, "two")
    assert again is fresh
    assert [frame.name for frame in again.frames] == ["two"]
    assert len(again.__notes__) == 1
