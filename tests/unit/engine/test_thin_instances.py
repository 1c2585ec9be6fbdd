"""Claims about what an instance takes: what is the same in all of a module's, or gone once they began, is in none; and
what nobody names is made when somebody asks for it.
"""

import gc
import re

import pytest

import stratavm
from stratavm import Engine, Func, Linker, Module, ResourceLimit, Store, StoreLimits, Table, Trap
from stratavm.contract import layout
from stratavm.spec.types import FUNCREF, I32, FuncType
from tests import needed

TIERS = ("jit0", "oracle")
MANY = 1000


def bytes_of(text):
    """What an instance of a module takes of its store's budget, and where it is."""
    store = Store(Engine())
    instance = Linker(store.engine).instantiate(store, Module(text, engine=store.engine))
    return store.bytes_held, instance


def test_a_function_takes_an_instance_a_record_if_something_refers_to_it_and_else_nothing():
    """Where its code lies is the same in all instances of a module, and in none of them."""

    def size(count, named):
        functions = "".join(f'(func (export "{i}"))' if named else "(func)" for i in range(count))
        return bytes_of(f"(module {functions})")[0]

    assert size(MANY, named=False) == size(0, named=False)
    assert size(MANY, named=True) - size(0, named=True) == MANY * layout.FUNC_REC.size == MANY * 24


@pytest.mark.parametrize(("program", "most"), [("python.wasm", 200_000), ("quickjs.wasm", 24_000)])
def test_instances_of_real_programs_are_small(program, most):
    """Bytes that a new instance copies: of CPython's 11,448 functions, half are in tables."""
    path = needed.program(program)
    shown = re.search(r": (\d+) bytes an instance>", repr(Module(path, engine=Engine(tier="oracle")).blueprint))
    assert shown and int(shown[1]) <= most


def test_types_are_in_no_instance():
    """Their numbers are the module's."""
    types = "".join(f"(type (func (param {'i32 ' * count})))" for count in range(MANY))
    assert bytes_of(f"(module {types})")[0] == bytes_of("(module)")[0]


NAMED = """(module
  (import "e" "g" (func $imported (result i32)))
  (table $t 3 3 funcref) (table $filled funcref (elem $8))
  (func $1 (result i32) (i32.const 1)) (func $2 (result i32) (i32.const 2)) (func $3 (result i32) (i32.const 3))
  (func $4 (result i32) (i32.const 4)) (func $5 (result i32) (i32.const 5)) (func $6 (result i32) (i32.const 6))
  (func $7 (result i32) (i32.const 7)) (func $8 (result i32) (i32.const 8))
  (func $start (global.set $started (i32.const 1)))
  (func (export "declared") (result funcref) (ref.func $6))
  (func (export "own") (result funcref) (ref.func $2))
  (func (export "foreign") (result funcref) (ref.func $imported))
  (func (export "at") (param i32) (result i32) (call_indirect $t (result i32) (local.get 0)))
  (func (export "filled") (result i32) (call_indirect $filled (result i32) (i32.const 0)))
  (func (export "init") (table.init $t $passive (i32.const 0) (i32.const 0) (i32.const 3)))
  (global $started (export "started") (mut i32) (i32.const 0))
  (global (export "global") funcref (ref.func $4))
  (export "re-exported" (func $imported)) (export "last" (func $7))
  (elem $active (table $t) (i32.const 0) func $3 $imported $1)
  (elem $passive funcref (ref.func $5) (ref.null func) (ref.func $imported))
  (elem declare func $6 $2)
  (start $start))"""


@pytest.mark.parametrize("tier", TIERS)
def test_every_way_to_name_a_function_leads_to_that_function(tier):
    """By exports, elements of all kinds, tables' and globals' values, ``ref.func`` in bodies, as the start function:
    what is imported, and what is not, in whatever order."""
    store = Store(Engine(tier=tier))
    linker = Linker(store.engine)
    linker.define("e", "g", Func.from_callable(store, FuncType((), (I32,)), lambda: 9))
    instance = linker.instantiate(store, Module(NAMED, engine=store.engine))
    e = instance.exports
    assert e.started.value == 1
    assert [e["declared"]()(), e["own"]()(), e["global"].value(), e["last"](), e["foreign"]()()] == [6, 2, 4, 7, 9]
    assert [e.at(0), e.at(1), e.at(2), e.filled()] == [3, 9, 1, 8]
    e.init()
    assert [e.at(0), e.at(2)] == [5, 9]
    assert e["re-exported"] == e["foreign"]() and e["last"] == instance.exports["last"]
    assert instance.callee(7).raw == instance.func_ref(7) == store.func_to_raw(e["last"])


@pytest.mark.parametrize("tier", TIERS)
def test_a_function_that_nothing_names_is_made_once_for_who_asks(tier):
    """It is the same one from then on, is called, and can be put into tables; the next instance has its own."""
    text = """(module (table (export "t") 1 1 funcref) (func $hidden (param i32) (result i32)
      (i32.add (local.get 0) (global.get $g))) (global $g (mut i32) (i32.const 40))
      (func (export "call") (param i32) (result i32)
        (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
      (func (export "direct") (result i32) (call $hidden (i32.const 1)))
      (func (export "set") (global.set $g (i32.const 50))))"""
    store = Store(Engine(tier=tier))
    module = Module(text, engine=store.engine)
    one, other = (Linker(store.engine).instantiate(store, module) for _ in range(2))
    hidden = one.callee(0)
    before = store.bytes_held
    assert one.callee(0) is hidden and one.func_ref(0) == hidden.raw and store.function_at(hidden.raw) is hidden
    assert store.bytes_held == before
    assert other.callee(0) is not hidden and store.bytes_held > before
    assert hidden.call_raw([2]) == hidden.call_raw([2]) == [42]
    one.exports.set()
    assert hidden.call_raw([2]) == [52] and other.callee(0).call_raw([2]) == [42]
    one.tables[0].set(0, hidden.raw)
    assert one.exports.call(5) == 55 and one.exports.t[0](6) == 56
    assert one.exports.direct() == 51 and other.exports.direct() == 41
    raw = hidden.raw
    del hidden
    gc.collect()
    assert one.callee(0).raw == raw and one.exports.call(7) == 57
    with pytest.raises(IndexError, match="function 4 of 4"):
        one.callee(4)


@pytest.mark.parametrize("tier", TIERS)
def test_what_is_made_on_demand_is_within_the_stores_limit(tier):
    """A module may have a million functions that nothing names: who asks for each of them is refused in time."""
    most = 1 << 17
    store = Store(Engine(tier=tier), limits=StoreLimits(total_bytes=most))
    module = Module(f"(module {'(func (result i32) (i32.const 7))' * MANY})", engine=store.engine)
    instance = Linker(store.engine).instantiate(store, module)
    made = []
    with pytest.raises(ResourceLimit, match="total_bytes"):
        for index in range(MANY):
            made.append(instance.callee(index))
    assert 0 < len(made) < MANY and store.bytes_held <= most
    assert instance.callee(0) is made[0] and made[-1].call_raw([]) == [7]


def test_active_data_segments_are_in_no_instance():
    """They are dropped once they are copied: what is known of them is the module's."""
    segments = '(data (i32.const 3) "x")' * MANY
    many, instance = bytes_of(f"(module (memory 1) {segments})")
    one, _ = bytes_of('(module (memory 1) (data (i32.const 3) "x"))')
    assert many == one
    assert instance.exports is not None and instance.data_segment(MANY - 1) == b""
    instance.drop_data(MANY - 1)
    with pytest.raises(IndexError, match=f"segment {MANY} of {MANY}"):
        instance.data_segment(MANY)


def test_passive_data_segments_are_numbered_with_the_active_ones():
    """Each instance drops its own."""
    text = """(module (memory (export "m") 1)
      (data (i32.const 0) "a") (data "first") (data (i32.const 1) "b") (data "second")
      (func (export "first") (param i32) (memory.init 1 (i32.const 8) (i32.const 0) (local.get 0)))
      (func (export "second") (param i32) (memory.init 3 (i32.const 16) (i32.const 0) (local.get 0)))
      (func (export "active") (param i32) (memory.init 2 (i32.const 0) (i32.const 0) (local.get 0)))
      (func (export "drop") (data.drop 1) (data.drop 2)))"""
    for tier in TIERS:
        store = Store(Engine(tier=tier))
        module = Module(text, engine=store.engine)
        one, other = (Linker(store.engine).instantiate(store, module).exports for _ in range(2))
        one.first(5), one.second(6), one.active(0), one.drop(), other.first(5)
        assert one.m[0:24] == b"ab".ljust(8, b"\0") + b"first\0\0\0second\0\0" and other.m[8:13] == b"first"
        for call in (one.first, one.active, other.active):
            with pytest.raises(Trap, match="out of bounds memory access"):
                call(1)


def test_element_segments_that_are_dropped_at_once_are_freed():
    """Active and declared ones; passive ones stay until the store ends."""

    def elements(count, kind):
        functions = "$f " * count
        return bytes_of(f'(module (table {MANY} funcref) (func $f (export "f")) (elem {kind} {functions}))')[0]

    assert elements(MANY, "(i32.const 0) func") == elements(0, "(i32.const 0) func")
    assert elements(MANY, "declare func") == elements(0, "declare func")
    assert elements(MANY, "func") == elements(0, "func") + 8 * MANY


FAILS = """(module (import "e" "t" (table 4 funcref)) (memory 1) (data (i32.const 0) "ab") (data (i32.const {at}) "cd")
  (data (i32.const 8) "ef") (data "gh") (elem (i32.const 0) func $take $drop) (elem (i32.const {element}) func $take)
  (func $take (param i32) (result i32)
    (block (block (block (block (br_table 0 1 2 3 (local.get 0)))
      (memory.init 0 (i32.const 16) (i32.const 0) (i32.const 2)) (return (i32.load16_u (i32.const 16))))
      (memory.init 1 (i32.const 16) (i32.const 0) (i32.const 2)) (return (i32.load16_u (i32.const 16))))
      (memory.init 2 (i32.const 16) (i32.const 0) (i32.const 2)) (return (i32.load16_u (i32.const 16))))
    (memory.init 3 (i32.const 16) (i32.const 0) (i32.const 2)) (i32.load16_u (i32.const 16)))
  (func $drop (data.drop 2)))"""


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("at", "element", "dropped"), [(65535, 0, 1), (0, 4, 0), (65535, 4, 0)])
def test_an_instance_that_failed_to_begin_has_the_segments_it_did_not_get_to(tier, at, element, dropped):
    """Its functions may be in an imported table by then: as specified, those segments are not dropped."""
    store = Store(Engine(tier=tier))
    table = Table.new(store, FUNCREF, 4)
    linker = Linker(store.engine)
    linker.define("e", "t", table)
    with pytest.raises(Trap, match="out of bounds"):
        linker.instantiate(store, Module(FAILS.format(at=at, element=element), engine=store.engine))
    take, drop = table[0], table[1]
    for index, wanted in enumerate((b"ab", b"cd", b"ef", b"gh")):
        if index < dropped:
            with pytest.raises(Trap, match="out of bounds memory access"):
                take(index)
        else:
            assert take(index) == int.from_bytes(wanted, "little")
    drop()
    with pytest.raises(stratavm.Trap, match="out of bounds memory access"):
        take(2)
