"""Claims about instantiation: which imports fit, the order of things, what remains after a failure."""

import pytest

import stratavm
from stratavm.base.errors import LinkError, ResourceLimit, Trap
from stratavm.runtime.exceptions import Tag
from stratavm.runtime.globals import Global
from stratavm.runtime.limits import StoreLimits
from stratavm.runtime.memory import Memory
from stratavm.runtime.table import Table
from stratavm.runtime.typeids import TypeIds
from stratavm.spec.types import EXTERNREF, F64, FUNCREF, I32, I64, FuncType, GlobalType, Limits, MemoryType, TableType

from . import guest


def link(wat, *imports, where=None, guests=(), **options):
    """Instantiate a text module without functions of its own, or with hand-written ones."""
    return guest.make(wat, list(guests), imports, where, **options)


def things(store):
    """One object of each kind: a memory of 2..4 pages, a table of 3..5, an immutable and a mutable global, a
    function."""
    return {
        "memory": Memory(store, MemoryType(Limits(2, 4))),
        "table": Table(store, TableType(FUNCREF, Limits(3, 5))),
        "const": Global(store, GlobalType(I32), 1),
        "var": Global(store, GlobalType(I32, True), 1),
        "func": guest.host(store, lambda args: args),
    }


@pytest.mark.parametrize(
    ("wanted", "given", "fits"),
    [
        ("(memory 1)", "memory", True),
        ("(memory 2 4)", "memory", True),
        ("(memory 3)", "memory", False),
        ("(memory 1 3)", "memory", False),
        ("(memory 1)", "table", False),
        ("(table 3 funcref)", "table", True),
        ("(table 1 9 funcref)", "table", True),
        ("(table 4 funcref)", "table", False),
        ("(table 1 4 funcref)", "table", False),
        ("(table 1 externref)", "table", False),
        ("(global i32)", "const", True),
        ("(global (mut i32))", "var", True),
        ("(global (mut i32))", "const", False),
        ("(global i32)", "var", False),
        ("(global i64)", "const", False),
        ("(func (param i32) (result i32))", "func", True),
        ("(func (param i32))", "func", False),
        ("(func (param i64) (result i32))", "func", False),
        ("(func)", "memory", False),
        ("(global i32)", "func", False),
    ],
)
def test_imports_are_matched_as_the_specification_says(wanted, given, fits):
    """Limits, element types, mutability, signatures, kinds."""
    store = guest.store()
    text = f'(module (import "m" "x" {wanted}))'
    if fits:
        link(text, things(store)[given], where=store)
        return
    with pytest.raises(LinkError, match=r"incompatible import type for m\.x"):
        link(text, things(store)[given], where=store)


def test_the_present_size_counts():
    """A memory that has grown satisfies a larger minimum."""
    store = guest.store()
    memory = things(store)["memory"]
    memory.grow(1)
    link('(module (import "m" "x" (memory 3 4)))', memory, where=store)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("(memory 1)", "memory"), ("(table 3 funcref)", "table"), ("(global i32)", "const"), ("(tag)", "tag"),
     ("(func (param i32) (result i32))", "func")],
)  # fmt: skip
def test_nothing_of_another_store_fits(wanted, given):
    """Of any kind, even where the type does."""
    other = guest.store()
    there = things(other) | {"tag": Tag.new(other)}
    with pytest.raises(LinkError, match="another store"):
        link(f'(module (import "m" "x" {wanted}))', there[given], where=guest.store())
    link(f'(module (import "m" "x" {wanted}))', there[given], where=other)


def test_missing_imports():
    """Too few."""
    with pytest.raises(LinkError, match="unknown import"):
        link('(module (import "m" "x" (memory 1)))')


def test_code_for_guard_pages_refuses_a_bounded_memory():
    """It would read outside; the other way round is safe."""
    store = guest.store()
    bounded = Memory(store, MemoryType(Limits(1, 1)), "bounded")
    guarded = Memory(store, MemoryType(Limits(1, 1)), "guard")
    text = '(module (import "m" "x" (memory 1)))'
    with pytest.raises(LinkError, match="guard pages"):
        link(text, bounded, where=store)
    link(text, bounded, where=store, plan="bounded")
    link(text, guarded, where=store, plan="bounded")


def test_globals_are_initialised_by_constant_expressions():
    """Constants of all types, extended arithmetic, earlier globals, references."""
    instance = link(
        """(module (global i32 (i32.const -1)) (global i64 (i64.const -2)) (global f32 (f32.const 1.5))
        (global f64 (f64.const -0)) (global i32 (i32.mul (i32.add (global.get 0) (i32.const 3)) (i32.const 5)))
        (global i64 (i64.sub (i64.const 1) (i64.const 2))) (global externref (ref.null extern))
        (global funcref (ref.func 0)) (func unreachable))""",
        guests=[guest.unreachable()],
    )
    bits = [g.bits for g in instance.globals]
    assert bits[:7] == [0xFFFFFFFF, (1 << 64) - 2, 0x3FC00000, 1 << 63, 10, (1 << 64) - 1, 0]
    assert bits[7] == instance.func_ref(0)


def test_active_segments_are_copied_and_dropped():
    """Passive ones stay; declared ones are dropped."""
    instance = link(
        """(module (memory 1) (table 4 funcref) (data (i32.const 1) "ab") (data "cd") (func unreachable)
        (elem (i32.const 1) func 0 0) (elem func 0) (elem declare func 0))""",
        guests=[guest.unreachable()],
    )
    ref = instance.func_ref(0)
    assert instance.memories[0].read(0, 4) == b"\0ab\0"
    assert [instance.tables[0].get(i) for i in range(4)] == [0, ref, ref, 0]
    assert [instance.data_segment(i) for i in range(2)] == [b"", b"cd"]
    assert [list(instance.elem_segment(i)) for i in range(3)] == [[], [ref], []]
    instance.drop_data(1)
    instance.drop_elem(1)
    assert (instance.data_segment(1), list(instance.elem_segment(1))) == (b"", [])


def test_what_was_done_before_a_failing_segment_remains():
    """As the specification says: earlier segments are in place, also in imported objects; the failing one
    wrote nothing."""
    store = guest.store()
    memory = things(store)["memory"]
    text = """(module (import "m" "x" (memory 1)) (data (i32.const 0) "first") (data (i32.const 0x1ffff) "ab")
      (data (i32.const 8) "never"))"""
    with pytest.raises(Trap, match="out of bounds memory access"):
        link(text, memory, where=store)
    assert memory.read(0, 16) == b"first" + b"\0" * 11
    assert memory.read(0x1FFFF, 1) == b"\0"


def test_an_element_outside_traps_before_data_is_written():
    """Element segments come first."""
    store = guest.store()
    memory = things(store)["memory"]
    with pytest.raises(Trap, match="out of bounds table access"):
        link(
            '(module (import "m" "x" (memory 1)) (table 1 funcref) (elem (i32.const 2) func) (data (i32.const 0) "x"))',
            memory,
            where=store,
        )
    assert memory.read(0, 1) == b"\0"


def test_element_segments_from_the_first_that_does_not_fit_are_not_dropped():
    """What is in an imported table by then can still copy them; those before it are gone, and no copy is charged."""
    engine = stratavm.Engine()
    store = stratavm.Store(engine)
    table = stratavm.Table.new(store, "funcref", 8)
    linker = stratavm.Linker(engine)
    linker.define("m", "t", table)
    inits = "".join(
        f"(func $init{i} (param i32) (table.init {i} (i32.const 4) (i32.const 0) (local.get 0)))" for i in range(4)
    )
    text = f"""(module (import "m" "t" (table 8 funcref)) {inits}
      (elem (i32.const 0) func $init0 $init1 $init2 $init3)
      (elem (i32.const 7) func $init0 $init1)
      (elem (i32.const 0) func $init3)
      (elem (i32.const 0) funcref (ref.func $init2) (ref.null func)))"""
    with pytest.raises(Trap, match="out of bounds table access"):
        linker.instantiate(store, stratavm.Module(text, engine=engine))
    for segment, size in enumerate((0, 2, 1, 2)):
        table[segment](size)
        with pytest.raises(Trap, match="out of bounds table access"):
            table[segment](size + 1)
    table[1](2)
    assert [table[4], table[5]] == [table[0], table[1]]


def test_active_functions_of_an_element_segment_take_nothing_of_the_budget():
    """They go to their table at once: no copy is made, as large as it may be."""
    engine = stratavm.Engine()
    text = f"(module (table 1000 funcref) (func $f) (elem (i32.const 0) func {'$f ' * 1000}))"
    module = stratavm.Module(text, engine=engine)
    empty = stratavm.Module(text.replace("$f " * 1000, ""), engine=engine)
    bytes_held = []
    for each in (module, empty):
        store = stratavm.Store(engine)
        stratavm.Linker(engine).instantiate(store, each)
        bytes_held.append(store.bytes_held)
    assert bytes_held[0] - bytes_held[1] == 24, "the record of $f"
    store = stratavm.Store(engine, limits=stratavm.StoreLimits(total_bytes=bytes_held[0]))
    stratavm.Linker(engine).instantiate(store, module)


def test_the_start_function_runs_last():
    """It sees segments; its trap comes out; functions put into an imported table stay callable."""
    store = guest.store()
    table = Table(store, TableType(FUNCREF, Limits(1)))
    text = '(module (import "m" "x" (table 1 funcref)) (func unreachable) (elem (i32.const 0) 0) (start 0))'
    with pytest.raises(Trap, match="unreachable"):
        link(text, table, where=store, guests=[guest.unreachable()])
    with pytest.raises(Trap, match="unreachable"):
        store.function_at(table.get(0)).call_raw([])


def test_created_is_called_before_guest_code():
    """So that host functions know their instance when the start function runs."""
    store = guest.store()
    order = []
    imported = guest.host(store, lambda args: order.append("host") or [], (), ())
    text = '(module (import "m" "x" (func)) (func unreachable) (start 1))'
    body = guest.call_import(guest.IMPORTED_FUNC)
    link(text, imported, where=store, guests=[body], created=lambda instance: order.append("created"))
    assert order == ["created", "host"]


def test_table_initialisers_fill_the_table():
    """A table with an initial element."""
    instance = link("(module (table 3 funcref (ref.func 0)) (func unreachable))", guests=[guest.unreachable()])
    assert [instance.tables[0].get(i) for i in range(3)] == [instance.func_ref(0)] * 3


def test_instances_have_a_limit():
    """A store is not a bottomless pit."""
    store = guest.store(StoreLimits(instances=2))
    link("(module)", where=store)
    link("(module)", where=store)
    with pytest.raises(ResourceLimit) as caught:
        link("(module)", where=store)
    assert caught.value.limit == "instances"


def test_re_exported_imports_are_the_same_objects():
    """A function imported and exported again is the function itself."""
    store = guest.store()
    have = things(store)
    text = """(module (import "m" "f" (func (param i32) (result i32))) (import "m" "m" (memory 1))
      (export "f" (func 0)) (export "m" (memory 0)))"""
    instance = link(text, have["func"], have["memory"], where=store)
    assert instance.export("func", 0) is have["func"]
    assert instance.export("memory", 0) is have["memory"]
    assert instance.func_ref(0) == have["func"].raw


def test_equal_types_have_equal_ids_in_all_modules():
    """And different ones do not; a host function's type is one of them."""
    types = TypeIds()
    used = [
        types.of_module(
            guest.parse("(module (type (func (param i32))) (type (func (result i64))) (type (func (param i32))))")
        ),
        types.of_module(guest.parse("(module (type (func (result i64))) (type (func (param f64))))")),
    ]
    first, second = (u.ids for u in used)
    assert first[0] == first[2]
    assert second[0] == first[1]
    assert len({*first, *second}) == 3
    assert types.of_func(FuncType((I32,))).ids == [first[0]]
    assert types.of_func(FuncType((), (I64,))).ids == [first[1]]
    assert types.of_func(FuncType((F64, EXTERNREF))).ids[0] not in {*first, *second}
    assert 0 not in first


def test_recursive_types_are_equal_by_structure():
    """Groups that refer to themselves, and subtypes."""
    types = TypeIds()
    text = "(module (type (func)) (rec (type $a (func (param (ref null $a)))) (type (func (result (ref $a))))) {})"
    texts = (
        text.format(""),
        "(module " + text.format("")[len("(module (type (func))") :],
        "(module (type $s (sub (func))) (type $t (sub $s (func))) (type (func)))",
    )
    used = [types.of_module(guest.parse(t)) for t in texts]
    one, two, sub = (u.ids for u in used)
    assert one[1:] == two
    assert types.matches(sub[1], sub[0])
    assert not types.matches(sub[0], sub[1])
    assert sub[2] == one[0]
    assert sub[2] != sub[0]
