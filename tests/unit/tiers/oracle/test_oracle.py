"""The oracle over its own state: control, traps, limits, linking and the order of instantiation."""

from __future__ import annotations

import sys

import pytest

from stratavm.base.errors import MAX_TRAP_FRAMES, LinkError, ResourceLimit, StackOverflow, Trap, Unsupported
from stratavm.module.parser import parse_module
from stratavm.spec.ops import BY_ID
from stratavm.spec.types import F64, FUNCREF, I32, FuncType, GlobalType, Limits, MemoryType, TableType
from stratavm.tiers.oracle.bind import _BINDERS
from stratavm.tiers.oracle.machine import OracleLimits
from tests.oracle.state import Global, HostFunction, Instance, Memory, Store, Table, instantiate


def make(text: str, imports=None, **store) -> Instance:
    """An instance of a text module in a fresh store."""
    return instantiate(Store(**store), parse_module(f"(module {text})"), imports)


def run(body: str, *args: int, params: str = "", results: str = "i32") -> list[int]:
    """Call a single function."""
    head = f"(param {params})" if params else ""
    tail = f"(result {results})" if results else ""
    return make(f'(func (export "f") {head} {tail} {body})').call("f", *args)


def test_every_ready_operation_has_an_effect():
    """A row that is ready is control, a load or store, a computation, or bound by name."""
    shape = {"nop", "block", "loop", "if", "else", "end"}
    tries = {"try_table", "try", "catch", "catch_all", "delegate", "rethrow"}
    missing = [
        row.mnemonic
        for row in BY_ID.values()
        if row.feature != "gc" and row.access is None and row.semantics is None and row.mnemonic not in _BINDERS
    ]
    assert set(missing) == shape | tries


def test_recursion_is_not_python_recursion():
    """Ten thousand guest frames need no more Python frames than one."""
    instance = make(
        """(func $down (export "down") (param i32) (result i32)
             (if (result i32) (i32.eqz (local.get 0))
               (then (i32.const 0))
               (else (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))))"""
    )
    assert sys.getrecursionlimit() < 10_000
    assert instance.call("down", 10_000) == [10_000]


@pytest.mark.parametrize("limits", [OracleLimits(frames=100), OracleLimits(values=5_000)])
def test_endless_recursion_is_a_trap_and_the_instance_lives_on(limits):
    """Frames and their values are both bounded, and given back."""
    instance = make(
        """(func $f (export "f") (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (call $f))
           (func (export "g") (result i32) (i32.const 7))""",
        limits=limits,
    )
    for _ in range(3):
        with pytest.raises(StackOverflow) as caught:
            instance.call("f")
        assert caught.value.frames and len(caught.value.frames) <= MAX_TRAP_FRAMES
        assert instance.call("g") == [7]
    assert (instance.store.budget.frames, instance.store.budget.values, instance.store.budget.entries) == (0, 0, 0)


def test_a_trap_names_the_guest_frames_innermost_first():
    """Function names come from the name section; offsets lie within the bodies."""
    instance = make("""(func $inner unreachable) (func $outer (export "f") (call $inner))""")
    with pytest.raises(Trap) as caught:
        instance.call("f")
    assert caught.value.kind == "unreachable"
    assert [frame.name for frame in caught.value.frames] == ["inner", "outer"]
    for frame in caught.value.frames:
        body = instance.model.functions[frame.func]
        assert body.start <= frame.offset < body.end
        assert str(frame) == f"{frame.name} at {frame.offset:#x}"


def test_a_branch_drops_what_lies_under_its_values():
    """Operands below the label's height stay, those between are gone."""
    assert run("(i32.const 1) (block (result i32) (i32.const 2) (i32.const 3) (br 0)) (i32.add)") == [4]
    assert run(
        "(block (result i32) (i32.const 9) (i32.const 8) (br_if 0 (i32.const 1)) (drop) (drop) (i32.const 0))"
    ) == [8]


@pytest.mark.parametrize(("index", "expected"), [(0, 10), (1, 11), (2, 12), (3, 12), (0xFFFF_FFFF, 12)])
def test_a_branch_table_takes_its_last_label_beyond_the_end(index, expected):
    """The index is unsigned."""
    body = """(block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 10)))
              (return (i32.const 11))) (i32.const 12)"""
    assert run(body, index, params="i32") == [expected]


def test_blocks_take_and_give_several_values():
    """Parameters of loops and ifs, and results of functions."""
    body = """(local.get 0) (local.get 1)
      (loop (param i32 i32) (result i32 i32)
        (local.set 1) (i32.add (i32.const 1)) (local.tee 0) (local.get 1)
        (br_if 0 (i32.lt_u (local.get 0) (i32.const 10))))
      (if (param i32 i32) (result i32 i32) (i32.const 1) (then) (else (drop) (drop) (i32.const 0) (i32.const 0)))"""
    assert run(body, 3, 77, params="i32 i32", results="i32 i32") == [10, 77]


def test_dead_code_of_every_shape_is_stepped_over():
    """Nested blocks after a branch do not confuse what is live, and an else revives."""
    body = """(if (result i32) (local.get 0)
        (then (return (i32.const 1)) (block (loop (br 1))) (if (i32.const 0) (then unreachable) (else)))
        (else (block (br 0) (if (i32.const 1) (then) (else))) (i32.const 2)))"""
    assert [run(body, value, params="i32") for value in (1, 0)] == [[1], [2]]


def test_the_poll_can_stop_an_endless_loop_and_an_endless_chain_of_calls():
    """It is called at back edges and calls; what it raises comes out."""

    class Stop(Exception):
        pass

    calls = []

    def poll():
        calls.append(1)
        if len(calls) == 3:
            raise Stop

    instance = make('(func (export "f") (loop (br 0)))', poll=poll, limits=OracleLimits(poll_every=50))
    with pytest.raises(Stop):
        instance.call("f")
    instance = make(
        '(func $g) (func (export "f") (loop (call $g) (call $g) (br 0)))',
        poll=poll,
        limits=OracleLimits(poll_every=1),
    )
    calls.clear()
    with pytest.raises(Stop):
        instance.call("f")


def test_an_exception_of_a_host_function_passes_through_unchanged():
    """The guest is unwound, and usable afterwards."""
    error = KeyError("mine")

    def fail(args):
        raise error

    instance = make(
        '(import "h" "f" (func $h (param i32))) (func (export "f") (call $h (i32.const 1)))',
        {"h": {"f": HostFunction(FuncType((I32,)), fail)}},
    )
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            instance.call("f")
        assert caught.value is error
    assert instance.store.budget.entries == instance.store.budget.frames == 0


def test_a_host_function_may_call_back_but_not_for_ever():
    """Nested entries are bounded, well before Python's own limit."""
    holder = []

    def again(args):
        return holder[0].call("f", args[0] - 1) if args[0] else [100]

    host = {"h": {"f": HostFunction(FuncType((I32,), (I32,)), again)}}
    text = """(import "h" "f" (func $h (param i32) (result i32)))
        (func (export "f") (param i32) (result i32) (i32.add (i32.const 1) (call $h (local.get 0))))"""
    holder.append(make(text, host))
    assert holder[0].call("f", 5) == [106]
    with pytest.raises(StackOverflow, match="nested calls from the host"):
        holder[0].call("f", 1000)


def test_a_host_function_with_too_many_results_is_the_hosts_error():
    """It never reaches the operand stack."""
    host = {"h": {"f": HostFunction(FuncType(), lambda args: [1])}}
    with pytest.raises(TypeError, match="returned 1 results"):
        make('(import "h" "f" (func $h)) (func (export "f") (call $h))', host).call("f")


def test_bulk_operations_check_before_they_move():
    """A length of 4 GiB costs nothing, and a range that does not fit changes nothing."""
    instance = make(
        """(memory (export "m") 1) (table 4 funcref) (data $d "abcd")
           (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
           (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
           (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
           (func (export "drop") (data.drop $d))
           (func (export "tfill") (param i32 i32) (table.fill (local.get 0) (ref.null func) (local.get 1)))"""
    )
    memory = instance.exports["m"]
    for call in (("fill", 0, 1, 0xFFFF_FFFF), ("copy", 0, 65_535, 2), ("init", 65_533, 0, 4), ("init", 0, 1, 4)):
        with pytest.raises(Trap) as caught:
            instance.call(*call)
        assert caught.value.kind == "memory_out_of_bounds"
    with pytest.raises(Trap, match="out of bounds table access"):
        instance.call("tfill", 1, 0xFFFF_FFFF)
    assert not any(memory.read(0, 65_536))
    instance.call("init", 65_532, 0, 4)
    instance.call("copy", 65_530, 65_532, 4)
    assert memory.read(65_530, 6) == b"abcdcd"
    instance.call("drop")
    instance.call("init", 0, 0, 0)
    with pytest.raises(Trap):
        instance.call("init", 0, 0, 1)


def test_an_address_does_not_wrap_around():
    """Base plus offset is computed without a limit of 32 bits."""
    with pytest.raises(Trap) as caught:
        make('(memory 1) (func (export "f") (result i32) (i32.load offset=4294967295 (i32.const 1)))').call("f")
    assert "4 bytes at 0x100000000" in str(caught.value)


def test_memory_and_table_grow_within_their_limits():
    """The old size, or -1 as an i32."""
    instance = make(
        """(memory 1 3) (table 1 2 funcref)
           (func (export "m") (param i32) (result i32) (memory.grow (local.get 0)))
           (func (export "t") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))"""
    )
    assert [instance.call("m", n) for n in (1, 2, 1, 0)] == [[1], [0xFFFF_FFFF], [2], [3]]
    assert [instance.call("t", n) for n in (2, 1, 0xFFFF_FFFF)] == [[0xFFFF_FFFF], [1], [0xFFFF_FFFF]]


def test_minimum_sizes_beyond_the_hosts_limit_are_refused():
    """A typed error that names the limit, before anything is allocated."""
    with pytest.raises(ResourceLimit) as caught:
        Memory(MemoryType(Limits(3)), limit_bytes=131_072)
    assert caught.value.limit == "memory_bytes"
    with pytest.raises(ResourceLimit) as caught:
        Table(TableType(FUNCREF, Limits(11)), limit=10)
    assert caught.value.limit == "table_elements"


def test_indirect_calls_trap_in_the_specifications_order():
    """Beyond the table, at a null, and at another type."""
    instance = make(
        """(type $t (func (result i32))) (table 3 funcref) (elem (i32.const 0) $one $other)
           (func $one (result i32) (i32.const 1)) (func $other (param i32))
           (func (export "f") (param i32) (result i32) (call_indirect (type $t) (local.get 0)))"""
    )
    assert instance.call("f", 0) == [1]
    for index, kind in ((1, "indirect_call_mismatch"), (2, "uninitialized_element"), (3, "undefined_element")):
        with pytest.raises(Trap) as caught:
            instance.call("f", index)
        assert caught.value.kind == kind


def test_a_failed_segment_leaves_what_went_before():
    """Instantiation traps at the data segment; the elements before it stay in the imported table."""
    store = Store()
    owner = instantiate(store, parse_module('(module (table (export "t") 2 funcref) (memory (export "m") 1))'))
    guest = parse_module(
        """(module (import "o" "t" (table 2 funcref)) (import "o" "m" (memory 1))
             (func $f) (elem (i32.const 1) $f) (data (i32.const 0) "x") (data (i32.const 65536) "y"))"""
    )
    with pytest.raises(Trap, match="out of bounds memory access"):
        instantiate(store, guest, {"o": owner.exports})
    assert owner.exports["t"].get(1) != 0 and owner.exports["m"].read(0, 1) == b"x"


def test_functions_of_two_instances_share_a_table():
    """A call through the table runs in the instance that owns the function."""
    store = Store()
    owner = instantiate(
        store,
        parse_module(
            """(module (table (export "t") 1 funcref) (global (mut i32) (i32.const 5))
                 (func $get (result i32) (global.get 0)) (elem (i32.const 0) $get))"""
        ),
    )
    user = instantiate(
        store,
        parse_module(
            """(module (import "o" "t" (table 1 funcref)) (global (mut i32) (i32.const 6))
                 (func (export "f") (result i32) (call_indirect (result i32) (i32.const 0))))"""
        ),
        {"o": owner.exports},
    )
    assert user.call("f") == [5]


def test_constant_expressions_see_imported_and_earlier_globals():
    """Extended constants included."""
    instance = make(
        """(import "e" "base" (global i32)) (global $b i32 (i32.add (global.get 0) (i32.const 2)))
           (global (export "g") i32 (i32.mul (global.get $b) (i32.sub (i32.const 10) (i32.const 7))))""",
        {"e": {"base": Global(GlobalType(I32), 5)}},
    )
    assert instance.exports["g"].bits == 21


@pytest.mark.parametrize(
    ("wanted", "found", "message"),
    [
        ("(func)", None, "unknown import e.x: func .* is missing"),
        (
            "(func (param f64))",
            HostFunction(FuncType((I32,)), list),
            r"expected func \[f64\] -> \[\], found func \[i32\]",
        ),
        ("(global (mut i32))", Global(GlobalType(I32), 0), "expected global mut i32, found global i32"),
        ("(global f64)", Table(TableType(FUNCREF, Limits(1))), "expected global f64, found table 1"),
        ("(memory 2)", Memory(MemoryType(Limits(1))), "expected memory 2, found memory 1"),
        ("(memory 1 2)", Memory(MemoryType(Limits(1, 3))), "expected memory 1 2, found memory 1 3"),
        ("(memory 1 2)", Memory(MemoryType(Limits(1))), "expected memory 1 2, found memory 1"),
        ("(table 1 externref)", Table(TableType(FUNCREF, Limits(1))), "table 1 externref, found table 1 funcref"),
    ],
)
def test_an_import_that_does_not_fit_is_named(wanted, found, message):
    """What, where, expected and found."""
    text = f'(import "e" "x" {wanted})'
    with pytest.raises(LinkError, match=message):
        make(text, {"e": {} if found is None else {"x": found}})


def test_a_grown_memory_satisfies_a_larger_minimum():
    """The present size counts, not the declared one."""
    memory = Memory(MemoryType(Limits(1)))
    memory.extend(2)
    assert make('(import "e" "x" (memory 3))', {"e": {"x": memory}}).memories[0].size_pages == 3


def test_calling_what_is_no_function_or_with_too_few_arguments_is_refused():
    """Raw calls check their arity."""
    instance = make('(func (export "f") (param f64)) (memory (export "m") 1)')
    with pytest.raises(TypeError, match="takes 1 arguments, got 0"):
        instance.call("f")
    with pytest.raises(TypeError, match="not a function"):
        instance.call("m")
    assert instance.exports["f"].type == FuncType((F64,))


def test_an_unknown_operation_is_refused_by_its_number():
    """The flattener says which; validation lets none through."""
    module = parse_module("(module (func (drop (i32.const 0))))")
    code = module.functions[0]
    binary = bytearray(module.binary)
    at = binary.index(b"\x41\x00\x1a", code.start)
    binary[at : at + 3] = b"\xc7\x01\x01"
    broken = type(module)(bytes(binary), module.rec_groups, functions=module.functions)
    with pytest.raises(Unsupported, match="opcode 0x0 0xc7"):
        instantiate(Store(), broken).functions[0].call_raw([])
