"""Claims about builtins, called from machine code as the compiler calls them."""

import ctypes
import gc

import pytest

from stratavm.base.errors import TRAPS_BY_NAME, Trap
from stratavm.contract import layout
from stratavm.runtime.codetable import CodeTable
from stratavm.runtime.limits import StoreLimits

from . import guest

OWNER = 1 << 40  # no serial of a CodeOwner
PAGE = 65536
OOB = TRAPS_BY_NAME["memory_out_of_bounds"].code
TABLE_OOB = TRAPS_BY_NAME["table_out_of_bounds"].code
NAMES = (
    "memory_copy", "memory_fill", "memory_init", "data_drop", "table_copy", "table_fill", "table_init", "elem_drop",
    "memory_grow", "table_grow",
)  # fmt: skip


@pytest.fixture
def calls():
    """(instance, {name: function of four operands}) of a module with two memories, tables and segments of each kind."""
    return make()


def make(limits=None):
    functions = "".join(f"(func {guest.WIDE} unreachable)" for _ in NAMES)
    text = f"""(module (memory 1 2) (memory 1 1) (table 4 8 externref) (table 4 4 externref)
      (data "hello") (data "") (elem externref (ref.null extern) (ref.null extern)) {functions})"""
    instance = guest.make(text, [guest.builtin(n) for n in NAMES], (), guest.store(limits))
    functions = {n: instance.callee(i).call_raw for i, n in enumerate(NAMES)}
    return instance, lambda name, *args: functions[name]([*args, *[0] * (4 - len(args))])[0]


def test_memory_copy_moves_overlapping_ranges_both_ways(calls):
    """As if through a buffer; across memories as well."""
    instance, call = calls
    memory = instance.memories[0]
    memory.write(0, b"abcdef")
    assert call("memory_copy", 0, 2, 0, 4) == 0
    assert memory.read(0, 6) == b"ababcd"
    assert call("memory_copy", 0, 0, 2, 4) == 0
    assert memory.read(0, 6) == b"abcdcd"
    assert call("memory_copy", 1, PAGE - 3, 0, 3) == 0
    assert instance.memories[1].read(PAGE - 3, 3) == b"abc"
    assert call("memory_copy", 1 << 32, 8, PAGE - 3, 3) == 0
    assert memory.read(8, 3) == b"abc"


@pytest.mark.parametrize(
    ("dst", "src", "n"),
    [(PAGE, 0, 1), (0, PAGE, 1), (PAGE - 1, 0, 2), (0, 0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0, 0), (0, PAGE + 1, 0)],
)
def test_bulk_operations_check_before_they_write(calls, dst, src, n):
    """Out of bounds by either end: the trap's code, and nothing written."""
    instance, call = calls
    instance.memories[0].write(PAGE - 1, b"x")
    assert call("memory_copy", 0, dst, src, n) == OOB
    assert instance.memories[0].read(PAGE - 1, 1) == b"x"


def test_memory_fill(calls):
    """The low byte, up to the last one."""
    instance, call = calls
    assert call("memory_fill", 0, PAGE - 2, 0x1234567F, 2) == 0
    assert instance.memories[0].read(PAGE - 3, 3) == b"\0\x7f\x7f"
    assert call("memory_fill", 0, PAGE, 1, 0) == 0
    assert call("memory_fill", 0, PAGE, 1, 1) == OOB
    assert call("memory_fill", 0, PAGE + 1, 1, 0) == OOB


def test_memory_init_and_data_drop(calls):
    """A dropped segment has no bytes; none are fine."""
    instance, call = calls
    assert call("memory_init", 0, 10, 1, 4) == 0
    assert instance.memories[0].read(10, 4) == b"ello"
    assert call("memory_init", 0, 10, 1, 5) == OOB
    assert call("memory_init", 1 << 32, PAGE - 5, 0, 5) == 0
    assert instance.memories[1].read(PAGE - 5, 5) == b"hello"
    assert call("data_drop", 0) == 0
    assert call("memory_init", 0, 0, 0, 1) == OOB
    assert call("memory_init", 0, 0, 0, 0) == 0
    assert call("memory_init", 1, PAGE, 0, 0) == 0


def test_table_operations(calls):
    """Fill, copy, init, drop, with the same care for bounds."""
    instance, call = calls
    first, second = instance.tables
    assert call("table_fill", 0, 1, 77, 3) == 0
    assert [first.get(i) for i in range(4)] == [0, 77, 77, 77]
    assert call("table_copy", 1, 0, 1, 2) == 0
    assert [second.get(i) for i in range(4)] == [77, 77, 0, 0]
    assert call("table_init", 0, 2, 0, 2) == 0
    assert [first.get(i) for i in range(4)] == [0, 77, 0, 0]
    for bad in (("table_fill", 0, 2, 1, 3), ("table_copy", 0, 3, 0, 2), ("table_init", 0, 0, 1, 2)):
        assert call(*bad) == TABLE_OOB
    assert call("elem_drop", 0) == 0
    assert call("table_init", 0, 0, 0, 1) == TABLE_OOB
    assert call("table_init", 0, 4, 0, 0) == 0


def test_growth_from_inside(calls):
    """Old sizes, or -1."""
    instance, call = calls
    assert call("memory_grow", 0, 1) == 1
    assert call("memory_grow", 0, 1) == 0xFFFFFFFF
    assert len(instance.memories[0]) == 2 * PAGE
    assert call("table_grow", 0, 5, 4) == 4
    assert instance.tables[0].get(7) == 5
    assert call("table_grow", 0, 5, 1) == 0xFFFFFFFF


def test_what_a_limiter_raises_comes_out_of_the_call():
    """Though growth itself cannot fail: here at the return, elsewhere at the next poll."""

    def limiter(kind, now, wanted):
        raise LookupError(kind)

    instance, call = make(StoreLimits(limiter=limiter))
    for _ in range(2):
        with pytest.raises(LookupError, match="memory"):
            call("memory_grow", 0, 1)
    assert call("memory_fill", 0, 0, 1, 1) == 0
    assert len(instance.memories[0]) == PAGE


def test_the_oracle_runs_functions_that_are_not_compiled():
    """Through the builtin, with arguments and results in cells; its traps and exceptions come out."""
    from stratavm.spec.types import F64, I32, FuncType
    from stratavm.targets.x64.stubs import oracle_stub

    class Program:
        def prepare(self, index):
            """Nothing is to be done first."""

        def call(self, index, args):
            if args[0] == 0:
                raise Trap("div_by_zero")
            return [args[1], index * 100 + args[0]]

    code = oracle_stub(FuncType((I32, F64), (F64, I32)), 0)
    body = guest.Guest(code.code, [tuple(t) for t in code.trap_sites])
    instance = guest.make("(module (func (param i32 f64) (result f64 i32) unreachable))", [body])
    instance.oracle = Program()
    call = instance.callee(0)
    assert call.call_raw([7, 1 << 63]) == [1 << 63, 7]
    with pytest.raises(Trap, match="integer divide by zero"):
        call.call_raw([0, 0])


def test_functions_are_compiled_at_their_first_call():
    """The lazy stub keeps the arguments; a compiler's exception comes out; the second call goes straight on."""
    from stratavm.targets.x64.stubs import LAZY_STUB_BYTES, lazy_stubs

    asked = []
    body = "(param i32 i32) (result i32) unreachable"
    text = f'(module (func (export "a") {body}) (func (export "b") {body}))'
    tier = guest.Tier([guest.div(), guest.div()])
    ready = tier.publish(0)[1]
    one, other = (guest.make(text, []) for _ in range(2))
    code = lazy_stubs(2)
    [stubs] = tier.owner.publish_many([(code.code, code.traps, code.returns, None)])
    table = CodeTable(2, tier.owner.serial)
    table.fill(stubs, LAZY_STUB_BYTES)

    def compiler(index):
        asked.append(index)
        if len(asked) == 1:
            raise LookupError("not yet")
        return table.publish(index, 0, ready)

    for instance in (one, other):
        instance.take_code(table, compiler)
    call = one.callee(1)
    with pytest.raises(LookupError):
        call.call_raw([12, 3])
    assert call.call_raw([12, 3]) == [4]
    assert call.call_raw([12, 4]) == [3]
    assert asked == [1, 1]
    assert one.slot(0) == stubs
    # The other instance meets the stub through its FuncRec, once, and asks nobody.
    assert (guest.code_of(one, 1), guest.code_of(other, 1)) == (ready, stubs + LAZY_STUB_BYTES)
    assert other.callee(1).call_raw([12, 3]) == [4] and guest.code_of(other, 1) == ready
    assert asked == [1, 1]


def test_a_function_that_nothing_names_learns_of_its_code_at_the_stub():
    """Its FuncRec is in no instance; whoever had it compiled, the tier says where the code is, once."""
    from stratavm.targets.x64.stubs import LAZY_STUB_BYTES, lazy_stubs

    tier = guest.Tier([guest.div()])
    [ready] = tier.publish(0)
    where = guest.store()
    text = '(module (import "e" "f" (func)) (func (param i32 i32) (result i32) unreachable))'
    host = guest.host(where, lambda args: [], (), ())
    one, other = (guest.make(text, [], (host,), where) for _ in range(2))
    code = lazy_stubs(1)
    [stubs] = tier.owner.publish_many([(code.code, code.traps, code.returns, None)])
    table = CodeTable(1, tier.owner.serial)
    table.fill(stubs, LAZY_STUB_BYTES)
    asked = []
    for instance in (one, other):
        instance.take_code(table, lambda index: asked.append(index) or table.publish(index, 0, ready))
    calls = [instance.callee(1) for instance in (one, other)]
    assert guest.code_of(one, 0) == guest.code_of(other, 0) == stubs
    for turn, call in enumerate((*calls, *calls)):
        assert call.call_raw([12, 3]) == [4]
        assert len(asked) == min(turn + 1, 2)
    assert guest.code_of(one, 0) == guest.code_of(other, 0) == ready


@pytest.mark.parametrize("count", [1, 1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_publishing_writes_to_no_instance(count):
    """One word, whether there is one instance or there are ten thousand: all of a module's have the same slots."""
    table = CodeTable(1, OWNER)
    table.fill(0x1000, 16)
    blueprint = guest.Blueprint(guest.parse('(module (func (export "f")))'), guest.Tier([]), guest.runtime())
    where = guest.store(StoreLimits(instances=count))
    alive = [guest.instantiate(where, blueprint) for _ in range(count)]
    for instance in alive:
        instance.take_code(table, None)
    size = layout.VMCTX.size + layout.FUNC_REC.size
    before = [ctypes.string_at(instance.vmctx, size) for instance in alive]
    assert table.publish(0, table.slot(0), 0x2000) == 0x2000
    assert [ctypes.string_at(instance.vmctx, size) for instance in alive] == before
    assert {instance.slot(0) for instance in alive} == {0x2000}
    with pytest.raises(ValueError, match="code of 1 functions for an instance of 1"):
        alive[0].take_code(table, None)


def test_a_table_of_code_knows_its_functions():
    """Numbers beyond its functions are refused, and so are instances with another number of them."""
    table = CodeTable(1, OWNER)
    assert not table.whole and table.slot(0) == table.code(0) == 0
    table.fill(0x1000, 16)
    table.fill(0x8000, 16)  # another thread's, which began to make some as well
    assert table.whole and table.slot(0) == 0x1000 and table.code(0) == 0
    for call in (table.slot, table.code, lambda index: table.publish(index, 0, 0x2000)):
        for index in (1, -1, 1 << 32):
            with pytest.raises(IndexError, match=r"function .* of 1"):
                call(index)
    with pytest.raises(ValueError, match="code of 1 functions for an instance of 2"):
        guest.make("(module (func) (func))", []).take_code(table, None)


def test_slots_live_as_long_as_an_instance():
    """The tier may let go of its table."""
    instance = guest.make("(module (func))", [])
    table = CodeTable(1, OWNER)
    instance.take_code(table, None)
    assert table.publish(0, 0, 0x2000) == 0x2000
    del table
    gc.collect()
    assert instance.slot(0) == 0x2000


def test_code_that_comes_late_loses():
    """What was begun before better code was there does not replace it; what was begun behind it does."""
    table = CodeTable(2, OWNER)
    table.fill(0x1000, 16)
    slow = late = table.slot(1)
    assert table.publish(1, slow, 0x2000) == table.code(1) == 0x2000
    better = table.slot(1)
    assert table.publish(1, better, 0x3000) == 0x3000
    assert table.publish(1, late, 0x4000) == 0x3000 == table.slot(1)
    assert table.publish(1, better, 0x5000) == 0x3000 == table.slot(1)
    assert table.slot(0) == 0x1000


def test_code_that_was_made_for_another_version_loses():
    """A version has slots and lazy stubs of its own: what was seen in those of one is in none of the other."""
    old, new = CodeTable(1, OWNER), CodeTable(1, OWNER + 1)
    old.fill(0x1000, 16)
    new.fill(0x9000, 16)
    seen = old.slot(0)
    assert new.publish(0, seen, 0x2000) == 0x9000 and new.code(0) == 0
    assert old.publish(0, seen, 0x2000) == 0x2000


def test_code_that_was_begun_before_there_were_lazy_stubs_is_published():
    """They are no code: to compile a whole module and to make its first instance may go on at once."""
    table = CodeTable(2, OWNER)
    early = table.slot(0)
    assert table.publish(1, 0, 0x3000) == 0x3000
    table.fill(0x1000, 16)
    assert table.slot(1) == 0x3000
    assert table.publish(0, early, 0x2000) == table.code(0) == 0x2000
    assert table.publish(0, early, 0x4000) == 0x2000
