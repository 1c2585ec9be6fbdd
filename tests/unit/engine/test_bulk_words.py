"""A bulk operation outside of a memory, a table or a segment says what was wanted and what there is, on all tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from stratavm import Config, Engine, Module, Store
from stratavm.engine import Linker
from tests.unit.engine.exported import trapped

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance

TIERS: Final = ("oracle", "jit0", "jit1")
SOURCE: Final = """(module
  (memory 1) (memory $other 2) (memory $wide i64 1)
  (table $functions 3 funcref) (table $others 5 funcref) (table $wides i64 4 externref)
  (data $data "0123456789")
  (elem $elem func $nothing $nothing)
  (func $nothing)
  (func (export "memory.fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "memory.fill_wide") (param i64 i64) (memory.fill $wide (local.get 0) (i32.const 7) (local.get 1)))
  (func (export "memory.fill_constant") (memory.fill (i32.const 0xfffc) (i32.const 7) (i32.const 8)))
  (func (export "memory.copy") (param i32 i32 i32)
    (memory.copy 0 $other (local.get 0) (local.get 1) (local.get 2)))
  (func (export "memory.init") (param i32 i32 i32)
    (memory.init $other $data (local.get 0) (local.get 1) (local.get 2)))
  (func (export "data.drop") (data.drop $data))
  (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "table.fill") (param i32 i32)
    (table.fill $functions (local.get 0) (ref.func $nothing) (local.get 1)))
  (func (export "table.fill_wide") (param i64 externref i64)
    (table.fill $wides (local.get 0) (local.get 1) (local.get 2)))
  (func (export "table.copy") (param i32 i32 i32)
    (table.copy $functions $others (local.get 0) (local.get 1) (local.get 2)))
  (func (export "table.init") (param i32 i32 i32)
    (table.init $others $elem (local.get 0) (local.get 1) (local.get 2)))
  (func (export "elem.drop") (elem.drop $elem))
  (func (export "is_null") (param i32) (result i32) (ref.is_null (table.get $functions (local.get 0)))))"""
MEMORY: Final = "out of bounds memory access: "
TABLE: Final = "out of bounds table access: "


@pytest.fixture(params=TIERS)
def instance(request: pytest.FixtureRequest) -> Instance:
    """An instance on a tier."""
    engine = Engine(Config(tier=request.param))
    return Linker(engine).instantiate(Store(engine), Module(SOURCE, engine=engine))


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("memory.fill", (0x11170, 1, 9), f"{MEMORY}9 bytes at 0x11170, the memory has 0x10000"),
        ("memory.fill", (-1, 1, -1), f"{MEMORY}4294967295 bytes at 0xffffffff, the memory has 0x10000"),
        ("memory.fill", (0x10001, 1, 0), f"{MEMORY}0 bytes at 0x10001, the memory has 0x10000"),
        ("memory.fill_wide", (-1, 2), f"{MEMORY}2 bytes at {(1 << 64) - 1:#x}, the memory has 0x10000"),
        ("memory.fill_constant", (), f"{MEMORY}8 bytes at 0xfffc, the memory has 0x10000"),
        ("memory.copy", (0xFFFF, 5, 2), f"{MEMORY}2 bytes at 0xffff, the memory has 0x10000"),
        ("memory.copy", (5, 0x1FFFF, 2), f"{MEMORY}2 bytes at 0x1ffff, the memory has 0x20000"),
        ("memory.init", (0x1FFFF, 0, 2), f"{MEMORY}2 bytes at 0x1ffff, the memory has 0x20000"),
        ("memory.init", (0, 9, 2), f"{MEMORY}data segment 0 has 10 bytes"),
        ("table.fill", (2, 2), f"{TABLE}2 elements at 2, the table has 3"),
        ("table.fill", (-1, 1), f"{TABLE}1 element at 4294967295, the table has 3"),
        ("table.fill_wide", (1 << 40, "thing", 1), f"{TABLE}1 element at {1 << 40}, the table has 4"),
        ("table.copy", (2, 0, 2), f"{TABLE}2 elements at 2, the table has 3"),
        ("table.copy", (0, 4, 2), f"{TABLE}2 elements at 4, the table has 5"),
        ("table.init", (4, 0, 2), f"{TABLE}2 elements at 4, the table has 5"),
        ("table.init", (0, 1, 2), f"{TABLE}element segment 0 has 2 elements"),
    ],
)
def test_what_was_wanted_and_how_much_there_is(instance, name, values, said):
    """As of one access, with the frame that it was in, and nobody's traceback."""
    trap = trapped(instance, name, *values)
    assert str(trap) == said
    assert [frame.name for frame in trap.frames] == [name]
    assert len(trap.__notes__) == 1


def test_segments_that_are_dropped_have_nothing(instance):
    """Not what they had."""
    instance.exports["data.drop"]()
    instance.exports["elem.drop"]()
    assert str(trapped(instance, "memory.init", 0, 0, 1)) == f"{MEMORY}data segment 0 has 0 bytes"
    assert str(trapped(instance, "table.init", 0, 0, 1)) == f"{TABLE}element segment 0 has 0 elements"


def test_nothing_is_written_where_some_of_it_is_outside(instance):
    """Neither by who finds it nor by who says it; and what is inside goes on."""
    trapped(instance, "memory.fill", 0xFFF0, 7, 17)
    trapped(instance, "table.fill", 1, 3)
    call = instance.exports
    assert (call["byte"](0xFFF0), call["is_null"](1)) == (0, 1)
    call["memory.fill"](0xFFF0, 7, 16)
    call["table.fill"](1, 2)
    assert (call["byte"](0xFFF0), call["is_null"](1)) == (7, 0)


@pytest.mark.parametrize("tier", TIERS)
def test_no_fuel_is_taken_for_what_traps(tier):
    """As before anything says why."""
    engine = Engine(Config(tier=tier, fuel=True))
    store = Store(engine)
    instance = Linker(engine).instantiate(store, Module(SOURCE, engine=engine))
    taken = []
    for count in (0x10001, 0x0FFFFFFF):
        store.fuel = 1 << 20
        trapped(instance, "memory.fill", 0, 7, count)
        taken.append((1 << 20) - store.fuel)
    assert taken[0] == taken[1] < 64
